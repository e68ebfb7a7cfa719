"""Small requests that need no tool: counting, lists, words and letters, sums, texts to change, code, notes, thanks.

They are for base. Drawn from templates and subjects, seeded; `HELD_OUT` are requests that nothing is trained on. Many
have a number, a time, a place or a bank in them, which are an adapter's words.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

_SUBJECTS: Mapping[str, Sequence[str]] = {
    "few": ("two|three|four|five|six|seven|eight|ten|twelve|twenty|3|4|5|6|7|8|10|15").split("|"),
    "number": ("a number", *"12|17|23|36|48|51|64|75|81|97|100|121|144|225|256|360|512|1000|1024|4096".split("|")),
    "small": ("2|3|4|5|6|7|8|9|11|12|13|15|19|25|42").split("|"),
    "numbers": ("4, 8, 1, 7|12 3 45 6|5, 5, 2, 9, 0|100, 20, 3|7, 1, 14, 2, 8|30 10 20|2.5, 1.5, 9").split("|"),
    "word": (
        "bottle|orange|window|garden|rhythm|keyboard|mountain|accommodate|separate|definitely|river|umbrella|castle|"
        "yellow|breakfast|language|Mississippi|conscience|giraffe|music|table|level|coffee"
    ).split("|"),
    "quality": ("happy|sad|angry|fast|brave|lazy|bright|strange|tired|beautiful|rude|cheap|calm|huge").split("|"),
    "things": (
        "fruits|vegetables|animals|birds|countries in Asia|European capitals|colors|musical instruments|sports|flowers|"
        "rivers|planets|programming languages|operating systems|dances|board games|cheeses|kinds of pasta|trees|"
        "mountains|oceans|famous painters|superheroes|dinosaurs|spices|jazz musicians|rock bands|film directors|"
        "novels|restaurant dishes|days of the week|months|seasons|zodiac signs|currencies|breakfast foods|card games|"
        "insects"
    ).split("|"),
    "letter": tuple("ABCDFGHLMNPRSTW"),
    "ends": ("A to Z", "one to five", "1 to 12", "one to fifty", "ten down to zero", "twenty to thirty", "5 to 1"),
    "said": (
        "the quick brown fox|good night|I am a robot|testing, testing|peace and love|open sesame|to be or not to be|"
        "hello again|abracadabra|it is what it is"
    ).split("|"),
    "sentence": (
        "him and me was late|I has two brother|she don't like fish|we was in the park yesterday|there house is big|"
        "The meeting was moved because the room was not free.|The dog barked at the mailman and ran home.|"
        "Our train was late, so we missed the start of the film.|I did not sleep well and forgot my keys.|"
        "The committee decided, after a long talk, to wait until spring.|your the best|it were cold outside|"
        "The old house by the river was sold to a young couple."
    ).split("|"),
    "language": ("Python|JavaScript|Java|C|Rust|Go|Ruby|TypeScript|Kotlin|PHP|C++|Haskell").split("|"),
    "program": ("script|function|program|class|method|small tool|module|snippet").split("|"),
    "does": (
        "copies files|moves old files to a folder|lists the files of a directory|parses JSON|reads a JSON file|"
        "validates an email address with a regex|formats a date|prints the current time|sends an email|"
        "connects to a SQL database|runs every hour|downloads images|resizes pictures|counts lines in a file|"
        "compresses a folder|deletes empty folders|backs up a directory|plays a sound|shows the weather|"
        "books a table|converts CSV to JSON|adds two numbers|draws a circle|splits a string|makes a chart|"
        "logs in to a server|watches a folder for changes|finds large files|checks a bank account|"
        "calculates compound interest|schedules a job|searches a text for a word|"
        "changes file names to lower case|names pictures by their date|removes duplicate files|unzips archives"
    ).split("|"),
    "text": ("a letter|an email|a short note|a formal complaint|a polite message|a few lines").split("|"),
    "whom": (
        "my bank|the bank's customer service|a restaurant|the hotel|my landlord|the tax office|my insurance|"
        "a music teacher|the city council|an airline|the school|the card company|the manager of a cinema"
    ).split("|"),
    "matter": (
        "a mistake in a bill|closing an account|a lost card|poor service|a refund|a booking that went wrong|"
        "a complaint about the food|thanking them|a change of address|a fee that surprised me|lost luggage|"
        "an appointment|a noisy room|a job"
    ).split("|"),
    "event": ("a dinner|a birthday party|a wedding|a barbecue|a book club|a housewarming|a picnic").split("|"),
    "when": ("on Saturday|next Friday|tomorrow evening|in June|at noon|on the 12th|at 8 pm|this weekend").split("|"),
    "place": (
        "Rome|Paris|New York|Tokyo|Iceland|Spain|Berlin|Kenya|Canada|Venice|Sydney|Norway|Mexico City|Vienna"
    ).split("|"),
    "body": ("Venus|Jupiter|the Moon|Saturn|Titan|the Sun|Neptune|Pluto").split("|"),
    "praise": (
        "wonderful|perfect|helpful|nice|awesome|exactly what I needed|very clear|excellent|super|so good|brilliant"
    ).split("|"),
    "artist": ("Mozart|the Beatles|Picasso|Shakespeare|Frida Kahlo|Miles Davis|Hitchcock|Bach|Adele").split("|"),
}

_TEMPLATES = (
    "count from {ends}|count to {few}|count backwards from {small}|list the {things}|list {few} {things}|"
    "name {few} {things}|name a few {things}|tell me {few} {things}|give me {few} {things} that start with {letter}|"
    "{few} {things} beginning with the letter {letter}|which {things} start with {letter}?|"
    "how many {things} are there?|what are the {things}?|say the alphabet|say {said}|repeat after me: {said}|"
    "say '{said}' {few} times|how do you spell {word}?|spell {word} backwards|reverse the word {word}|"
    "how many letters does {word} have?|how many vowels are in {word}?|what rhymes with {word}?|"
    "use {word} in a sentence|"
    "what is the plural of {word}?|an anagram of {word}|what does {word} mean?|another word for {quality}|"
    "synonyms of {quality}|what is the opposite of {quality}?|is {quality} an adjective?|what's {small} plus {small}?|"
    "what is {small} times {small}?|{small} * {small}|how much is {number} minus {small}?|{number} divided by {small}|"
    "is {number} even or odd?|is {number} a prime number?|what's half of {number}?|square root of {number}|"
    "{small} percent of {number}|round {number} to the nearest ten|write {number} in Roman numerals|"
    "sort these numbers: {numbers}|what is the largest of {numbers}?|add up {numbers}|the average of {numbers}|"
    "put these in alphabetical order: {word}, {word}, {word}|pick one: {word} or {word}?|pick a number up to {number}|"
    "correct this sentence: {sentence}|fix the grammar: {sentence}|rewrite more formally: {sentence}|"
    "make this shorter: {sentence}|summarize: {sentence}|translate into Spanish: {sentence}|"
    "put this in the past tense: {sentence}|is this right? {sentence}|what is the verb in '{sentence}'|"
    "write a {language} {program} that {does}|{language} {program} that {does}|a {program} in {language} that {does}|"
    "can you write a {program} that {does} in {language}?|show me {language} code that {does}|"
    "{language} {program} which {does}|I need a {language} {program} that {does}|"
    "make a {language} {program} that {does}|write a {program} in {language} that {does}|"
    "how would I write a {program} that {does} in {language}?|"
    "explain a {language} {program} that {does}|"
    "write {text} to {whom} about {matter}|draft {text} to {whom}, {matter}|help me write {text} to {whom}|"
    "{text} to {whom} about {matter}, please|how do I start {text} to {whom}?|"
    "write an invitation to {event} {when}|invite my friends to {event} {when}|a toast for {event}|"
    "ideas for {event} {when}|what should I bring to {event}?|what should I wear to {event}?|"
    "a text that cancels {event} {when}|what do people eat in {place}?|what is {place} famous for?|"
    "how far is {place} from here?|what language do they speak in {place}?|is {place} expensive?|"
    "which dishes should I try in {place}?|tell me about the restaurants of {place}|what's the climate of {place}?|"
    "when is the best time to visit {place}?|how hot does it get in {place} in summer?|what is it like on {body}?|"
    "how cold is {body}?|does it rain on {body}?|how big is {body}?|how long is a day on {body}?|"
    "what time zone is {place} in?|how old is {place}?|that was {praise}!|thanks, {praise}|{praise}, thank you|"
    "you are {praise}|your answer was {praise}|wow, {praise}!|that is not {praise}|hmm, not {praise}|"
    "who was {artist}?|what is {artist} known for?|why do people love {artist}?|where was {artist} born?|"
    "did {artist} ever visit {place}?|what is the best work of {artist}?|write a poem in the style of {artist}"
).split("|")

HELD_OUT = (
    "Count from one to ten, please.", "Say hello in three languages.", "How many days are in a leap year?",
    "What's 17 times 4?", "List the months of the year.", "Give me a synonym for happy.", "Is 7 a prime number?",
    "How old is the universe?", "Thanks, that was great!", "Name five animals that start with the letter B.",
    "Spell the word necessary.", "Repeat after me: hello world", "Which is bigger, the sun or the moon?",
    "Convert 10 miles to kilometers.", "Write a python script that renames files.", "Why is my wifi slow?",
    "Do you know a good restaurant in Paris?", "What movies did Spielberg direct?", "What should I do this weekend?",
    "Who won the world cup in 1998?", "How many players are in a football team?", "Write a letter to my bank about a "
    "wrong fee.", "Write an invitation to a dinner at my house for four people on Friday.", "Correct this sentence: he "
    "go to school every days.", "What's the weather like on Mars?", "What is the date format used in Japan?",
    "What is the square root of 144?", "Sort these numbers: 5, 3, 9, 1", "Reverse the word 'laptop'.",
    "How many letters are in 'banana'?",
)  # fmt: skip
"""Requests of the kind that nothing is trained on."""


def make_requests(count: int, rng: random.Random) -> list[str]:
    """So many different requests."""
    taken = {text.casefold() for text in HELD_OUT}
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        text = rng.choice(_TEMPLATES)
        while "{" in text:
            name = text[text.index("{") + 1 : text.index("}")]
            text = text.replace(f"{{{name}}}", rng.choice(_SUBJECTS[name]), 1)
        text = text[:1].upper() + text[1:] if rng.random() < 0.5 else text
        if rng.random() < 0.2:
            text = text.removesuffix("?")
        if text.casefold() not in taken:
            drawn[text] = None
    return list(drawn)
