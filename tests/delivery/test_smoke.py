def test_a_failed_delivery_waits_its_turn_and_then_arrives(publish, make_webhook, receiver, clock, deliver, states):
    make_webhook(url=receiver.url, preset="vomo")
    receiver.answers(503, 204)
    publish("project.updated", data=b'{"total":12.50}')

    deliver()
    assert states() == [("pending", [503])]

    clock.advance(seconds=9.9)
    assert deliver() == 0, "it was tried again too early"

    clock.advance(seconds=0.1)
    deliver()
    assert states() == [("delivered", [503, 204])]
    first, second = receiver.requests
    assert first.body == second.body
    assert b'"data":{"total":12.50}' in first.body, "the number was rewritten"
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
