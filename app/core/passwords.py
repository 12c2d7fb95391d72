"""What a password and an e-mail address may be: no rules of composition (OWASP ASVS 5.0, 6.2)."""

from __future__ import annotations

import re
import unicodedata

SHORTEST = 12
LONGEST = 128

_LONGEST_EMAIL = 254  # RFC 5321 leaves no more for an address
_LOOKALIKES = str.maketrans("@431!05$7|", "aaeiiosst" + "l")
_EDGES = "0123456789.,;:!?*#$%&@_-+=/ "
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1234567890",
    "0123456789",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "qazwsxedcrfvtgbyhnujmikolp",
    "!@#$%^&*()_+",
    "qweasdzxc",
)
# What people build long passwords from: one of these, once or repeated, with digits and signs around it.
_WORDS = frozenset(
    """
    abc access account adidas admin administrator alexander amanda america andrea andrew angel angela anthony
    arsenal asdf asdfgh asdfghjkl ashley august austin autumn azerty babygirl bailey banana barcelona baseball
    basketball batman beautiful blink buster butterfly changeit changeme charlie charlotte chelsea chocolate
    christian christopher company computer cookie corvette cowboys dallas daniel database december default diamond
    donald dragon elephant elizabeth enter february fernando ferrari fireball flower football forever freedom friday
    friends gabriel gandalf garfield george ginger google guest hannah harley hello hockey homer hunter iloveu
    iloveyou internet jackson january jasmine jennifer jessica jonathan jordan joshua justin killer lakers letmein
    liverpool login london louise lovely loveme maggie manchester marina martin master matrix matthew maverick
    mercedes michael michelle midnight monday monkey monster mustang mypassword natasha newpassword nicholas nicole
    nintendo november october organization orlando p@ssword pass passw0rd passwd password passwort patrick peanut
    pepper phoenix pokemon postroom princess purple q1w2e3r4 q1w2e3r4t5 qazwsx qqww1122 qwe qwer qwert qwerty
    qwertyuiop qwertz rachel rainbow ranger richard robert rockyou root samantha samsung sandra scooter secret
    security september server shadow silver slipknot snoopy soccer sophie spiderman spring startrek starwars
    steelers stephanie summer sunday sunflower sunshine superman superstar temporary temppass test tester testing
    thomas thunder tigger trustno trustnoone user vanessa victoria webhook webhooks webmaster welcome welcometo
    whatever william willow windows winner winter yamaha yankees yellow zaq12wsx zxcvbn zxcvbnm
    """.split()  # noqa: SIM905  a list takes a line a word
)
_PHRASES = frozenset(
    """
    adminadminadmin allyourbasearebelongtous applepieapple areyoukiddingme batteryhorsestaple changemechangeme
    changemenow changethispassword correcthorsebattery correcthorsebatterystaple defaultpassword dontforgetme
    donttellanyone eatmyshorts fuckyoufuckyou godisgreat helloworldhello howareyoutoday iamtheboss idontknow
    idontremember ihateyou ihavenopassword ilovejesus ilovejesuschrist ilovemyfamily ilovemymom ilovemywife
    iloveyouforever iloveyoumom iloveyousomuch iloveyouverymuch imsocool inthebeginning itsasecret jesuschrist
    jesusislord justinbieber letmeinletmein letmeinnow letmeinplease liverpoolfc lovelovelove manchesterunited
    masterpassword maytheforcebewithyou minecraftminecraft mynameis mypasswordis nopassword nopasswordneeded
    opensesame openthedoor passwordispassword passwordmanager passwordpassword pleaseletmein qwertyasdfgh
    qwertyqwerty qwertyuiopasdfghjkl realmadridcf rememberme rootrootroot secretpassword somethingsecret
    startrekvoyager supersecret supersecretpassword temporarypassword testpassword testtesttest thequickbrownfox
    thequickbrownfoxjumps thisisapassword thisismypassword thisisnotmypassword thisissecret tobeornottobe
    trustnobody universityof verysecret verysecurepassword welcomehome welcometothejungle whatisthis whatsmypassword
    whoareyou yourmother youwillneverguess zaqxswcdevfr
    """.split()  # noqa: SIM905  a list takes a line a word
)


def password_problem(password: str, email: str = "") -> str | None:
    """Return why a password can't be used, in a sentence; None: it can.

    Any characters are welcome. Refused are short ones, and those that are tried first by whoever guesses.
    """
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"Use at most {LONGEST} characters."
    plain = unicodedata.normalize("NFKC", password).casefold()
    if email and plain.strip(_EDGES) in _names_in(email):
        return "This is your e-mail address. Choose something else."
    if is_common(plain):
        return "This is one of the passwords that are guessed first. Choose another one."
    return None


def email_problem(email: str) -> str | None:
    """Return why this can't be an e-mail address, in a sentence; None: it can. Only a message sent proves one."""
    local, at, domain = email.partition("@")
    if not at or not local or not domain or "@" in domain:
        return "Write an e-mail address, for example ada@example.com."
    if re.search(r"\s", email) or not email.isprintable():
        return "An e-mail address has no blanks in it."
    if len(email) > _LONGEST_EMAIL:
        return f"An e-mail address has at most {_LONGEST_EMAIL} characters."
    return None


def is_common(plain: str) -> bool:
    """Whether a password, in lower case, is built as most guessed ones are."""
    if len(set(plain)) < 5 or _is_run(plain):
        return True
    cores = {
        plain.strip(_EDGES),
        plain.translate(_LOOKALIKES).strip(_EDGES),
        plain.strip(_EDGES).translate(_LOOKALIKES),
        re.sub("[^a-z]", "", plain),
    }
    return any(_is_common_core(re.sub(r"[\s._-]+", "", core)) for core in cores if core)


def _is_common_core(core: str) -> bool:
    return core in _PHRASES or _repeated(core) in _WORDS or _is_run(_repeated(core))


def _repeated(text: str) -> str:
    """The shortest part that, repeated, makes the text; the text itself when there is none."""
    at = (text + text).find(text, 1)
    return text[:at]


def _is_run(text: str) -> bool:
    """Whether the text follows the alphabet, the digits or the keyboard, forwards or backwards, however often."""
    part = _repeated(text)
    return len(part) > 2 and any(part in run * 2 or part in (run * 2)[::-1] for run in _RUNS)


def _names_in(email: str) -> set[str]:
    email = email.casefold()
    return {email, email.partition("@")[0], email.partition("@")[2]}
