"""The state machine: the only place that inserts or updates deliveries and attempts. Others call it by its moves.

Each move is one guarded statement that names the state it leaves; the rows it returns are the verdict.
"""

from app.delivery.queue.by_hand import cancel, cancel_waiting, hasten, hasten_waiting, requeue
from app.delivery.queue.claiming import (
    LEASE_MS,
    Waiting,
    claim,
    claim_by_hand,
    claim_suspect,
    let_go,
    look,
)
from app.delivery.queue.entering import enqueue, enter_attempts, new_row, past_row, row_ids
from app.delivery.queue.finishing import finish, hand_back
from app.delivery.queue.interrupting import MOST_INTERRUPTIONS, release_lapsed
from app.delivery.queue.looking import count_pending, count_sending, ids_of, next_copies, next_copy, pending_beside
from app.delivery.queue.rows import PENDING, SENDING, UNDELIVERED, Ending, Finished

__all__ = [
    "LEASE_MS",
    "MOST_INTERRUPTIONS",
    "PENDING",
    "SENDING",
    "UNDELIVERED",
    "Ending",
    "Finished",
    "Waiting",
    "cancel",
    "cancel_waiting",
    "claim",
    "claim_by_hand",
    "claim_suspect",
    "count_pending",
    "count_sending",
    "enqueue",
    "enter_attempts",
    "finish",
    "hand_back",
    "hasten",
    "hasten_waiting",
    "ids_of",
    "let_go",
    "look",
    "new_row",
    "next_copies",
    "next_copy",
    "past_row",
    "pending_beside",
    "release_lapsed",
    "requeue",
    "row_ids",
]
