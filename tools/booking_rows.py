"""What of RESTAURANTS-8K is a message about a booking, and what is talk, for the router.

A third of its rows names no slot, so that the right answer would be an empty object. Those about a table, a restaurant
or a change of plans are `extract`'s all the same. Thanks, goodbyes and plain answers are talk, to which base has a
better answer. What is neither ("Max Falkenberg-mcgillivray", "do you have wi-fi there") teaches a router nothing.
"""

from __future__ import annotations

import re

from tools.data import Row

_BOOKING = re.compile(
    r"\b(table|book|reserv|seat|sit|restaurant|place|food|c[rui]+sine|dish|vegetarian|vegan|gluten|menu|serve|"
    r"(in|out)side|(in|out)door|out there|patio|garden|terrace|price|cheap|expensive|moderate|rating|address|phone|"
    r"parking|park|delivery|wheelchair|highchair|chair|area|neighbou?rhood|party|kids|late|change|cancel|time|date|name|"
    r"hire)",
    re.IGNORECASE,
)
_TALK = frozenset(
    "thank thanks thankyou cheers appreciate welcome bye byebye goodbye good great nice lovely awesome perfect cool "
    "wow hi hey hello hiya morning evening night day week weekend yes yeah yep yup yas no nope nah nay not ok okay k "
    "alright right correct corrrect incorrect wrong true exactly absolutely definitely certainly sure gladly fine of "
    "course indeed affirmative negative positive maybe probably hardly hmm oh ah lol please pls mate bud dude pal man "
    "very much so a an the and for your you help it is it's its that that's thats this was all i i'm im am have had "
    "has take care see ya later now then again well be would will won't do don't dont did got get my me to guess think "
    "know need needed want what how are today sounds works done stop sorry really just in fact said about done worries "
    "problem way never mind nothing else go ahead information info answer agree accurate factual".split()
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def is_booking(row: Row) -> bool:
    """Whether a row says anything that is `extract`'s: a slot, or a word of a booking."""
    return row.answer != "{}" or bool(_BOOKING.search(row.message))


def is_talk(message: str) -> bool:
    """Whether a message has no words but those of thanks, goodbyes, greetings and plain answers."""
    words = _WORD.findall(message.lower().replace("\u2019", "'"))
    return bool(words) and _TALK.issuperset(words) and not any(map(str.isdigit, message))
