"""Everyday requests to an assistant, which belong to no adapter: letters, explanations, ideas, plans, code.

Drawn from templates and subjects, seeded; `HELD_OUT` are requests that nothing is trained on.
"""

from __future__ import annotations

import random

_PEOPLE = (
    "my boss|my landlord|a colleague|my teacher|a customer|my neighbor|my grandmother|the team|an old friend|HR".split(
        "|"
    )
)
_MATTERS = (
    "asking for a day off|thanking them for their help|about the delayed project|declining an invitation|saying sorry "
    "for being late|about the noise at night|asking for feedback|announcing a new product|about a broken heater|"
    "inviting them to dinner|asking for a raise|with an update on the report"
).split("|")
_TOPICS = (
    "photosynthesis|inflation|black holes|a mutex|recursion|the French Revolution|machine learning|the water cycle|"
    "democracy|gravity|a hash table|supply and demand|the immune system|quantum computers|climate change|"
    "plate tectonics|how vaccines work|blockchain|neural networks|the stock market|object-oriented programming|"
    "DNA|the Roman Empire|compound interest|SQL joins|JSON|regular expressions|cron|Docker|Linux|"
    "the shell|a database index|version control|Unicode|time zones|a compiler|a REST API|HTTP|encryption|open source"
).split("|")
_CREATIVE = (
    "the sea|a lonely robot|autumn|two brothers|a lost dog|the moon|coffee|a train journey|winter in the mountains|"
    "a brave mouse|friendship|a haunted house|rain|growing old|a time traveler|my cat"
).split("|")
_PLANS = (
    "a weekend in Lisbon|a birthday party for a five-year-old|a week of vegetarian dinners|learning the guitar|"
    "training for a half marathon|moving house|a small garden|reading more books|a job interview|a road trip|"
    "saving money|a team meeting|a study plan for an exam|a healthy breakfast|a first date|decluttering my room"
).split("|")
_PROGRAMS = (
    "reverses a string|checks whether a number is prime|sorts a list of numbers|reads a CSV file|computes factorials|"
    "counts the words of a text|finds duplicates in a list|merges two dictionaries|downloads a web page|"
    "checks a password|implements a stack|solves the tower of Hanoi"
).split("|")
_LANGUAGES = "Python|JavaScript|Rust|C|Java|Go".split("|")
_TONGUES = "French|Spanish|German|Italian|Japanese|Portuguese".split("|")
_SENTENCES = (
    "good morning, how are you?|where is the train station?|I would like a coffee|thank you for the gift|see you "
    "tomorrow|the weather is nice today|I love this song|can you help me?|my name is Ana|happy birthday"
).split("|")
_COMPARED = (
    "a virus and bacteria|tea and coffee|Python and Java|weather and climate|a lake and a pond|TCP and UDP|butter and "
    "margarine|a process and a thread|SQL and NoSQL|JSON and XML|a crocodile and an alligator|stocks and bonds"
).split("|")
_FACTS = (
    "the tallest mountain in the world|the author of Don Quixote|the speed of light|the largest ocean|"
    "the boiling point of water|the population of Brazil|the currency of Japan|the smallest planet|"
    "the first president of the United States|the longest river in Africa|the chemical symbol of gold|"
    "the national dish of Spain"
).split("|")
_SKILLS = (
    "tie a tie|change a bicycle tire|boil an egg|remove a coffee stain|fall asleep faster|stop procrastinating|cook "
    "rice|grow tomatoes|learn to swim|write a good CV|meditate|bake bread|get rid of hiccups|train a puppy|clean a "
    "keyboard|save energy at home|become a nurse|make friends in a new city|deal with stress|give a good speech"
).split("|")
_TOOLS = "tar git grep ssh docker sed awk curl make rsync cron vim systemd npm".split()

_TEMPLATES: tuple[tuple[str, tuple[list[str], ...]], ...] = (
    ("write an email to {} {}", (_PEOPLE, _MATTERS)),
    ("draft a short message to {} {}", (_PEOPLE, _MATTERS)),
    ("help me write a letter to {} {}", (_PEOPLE, _MATTERS)),
    ("explain {}", (_TOPICS,)),
    ("explain {} to a child", (_TOPICS,)),
    ("what is {}?", (_TOPICS,)),
    ("tell me about {}", (_TOPICS,)),
    ("why is {} important?", (_TOPICS,)),
    ("give me three facts about {}", (_TOPICS,)),
    ("summarize the history of {}", (_TOPICS,)),
    ("write a poem about {}", (_CREATIVE,)),
    ("write a short story about {}", (_CREATIVE,)),
    ("tell me a joke about {}", (_CREATIVE,)),
    ("write a song about {}", (_CREATIVE,)),
    ("give me ideas for {}", (_PLANS,)),
    ("help me plan {}", (_PLANS,)),
    ("make a checklist for {}", (_PLANS,)),
    ("what should I think of for {}?", (_PLANS,)),
    ("write a {1} function that {0}", (_PROGRAMS, _LANGUAGES)),
    ("how do I write a program that {} in {}?", (_PROGRAMS, _LANGUAGES)),
    ("translate to {1}: {0}", (_SENTENCES, _TONGUES)),
    ("how do you say '{}' in {}?", (_SENTENCES, _TONGUES)),
    ("what is the difference between {}?", (_COMPARED,)),
    ("compare {}", (_COMPARED,)),
    ("what is {}?", (_FACTS,)),
    ("do you know {}?", (_FACTS,)),
    ("how do I {}?", (_SKILLS,)),
    ("what is the best way to {}?", (_SKILLS,)),
    ("any tips to {}?", (_SKILLS,)),
    ("teach me to {}", (_SKILLS,)),
    ("what is {}?", (_TOOLS,)),
    ("what is {} used for?", (_TOOLS,)),
    ("who invented {}?", (_TOOLS,)),
    ("is {} hard to learn?", (_TOOLS,)),
)

HELD_OUT = (
    "Write a short email to my manager asking to move our meeting to Thursday.",
    "Explain what a mutex is in simple words.",
    "What is the capital of Portugal?",
    "Give me five ideas for a rainy Sunday with children.",
    "Why do leaves turn red in autumn?",
    "Write a haiku about the first snow.",
    "What is the difference between a simile and a metaphor?",
    "How do I get over a breakup?",
    "Write a Python function that returns the largest number in a list.",
    "What should I cook with eggs, spinach and rice?",
    "Summarize the plot of Romeo and Juliet in two sentences.",
    "How does a refrigerator work?",
    "Suggest a name for a small bakery.",
    "What are the benefits of drinking water?",
    "Tell me a bedtime story about a fox.",
    "How can I improve my handwriting?",
    "Who was Marie Curie?",
    "What is the meaning of the word serendipity?",
    "Give me a recipe for pancakes.",
    "How do airplanes stay in the air?",
    "Write a thank-you note to my aunt for the book she gave me.",
    "What causes earthquakes?",
    "How do I start learning the piano?",
    "List three advantages of electric cars.",
    "What is the largest planet in our solar system?",
    "Can you help me prepare for a job interview?",
    "What is a closure in JavaScript?",
    "Write a two-line toast for a wedding.",
    "How many continents are there?",
    "Explain the offside rule in football.",
    "What is the purpose of a firewall?",
    "Give me a motivational quote for Monday morning.",
    "How long should I boil pasta?",
    "What are some good hobbies for introverts?",
    "Describe a sunset in three sentences.",
    "What is machine learning used for?",
    "How do I ask someone out politely?",
    "What is the tallest animal?",
    "Tell me something about the history of chess.",
    "What are the symptoms of a cold?",
    "How do I keep my houseplants alive?",
    "Rewrite this more politely: give me the report now.",
    "What is a healthy breakfast?",
    "Who painted the Mona Lisa?",
    "Why is exercise good for you?",
    "Give me an outline for an essay about social media.",
    "What is the difference between RAM and a hard disk?",
    "How do bees make honey?",
    "Translate 'I am very hungry' into Spanish.",
    "What should I pack for a week at the beach?",
    "How do I stay focused while working from home?",
    "What is the water cycle?",
    "Write a slogan for a coffee shop.",
    "Is it better to run in the morning or in the evening?",
    "What does HTML stand for?",
    "Tell me a fun fact about octopuses.",
    "How do I write a good title for a blog post?",
    "What are the primary colors?",
    "I feel nervous about my exam tomorrow.",
    "What can you help me with?",
)


def make_requests(count: int, rng: random.Random) -> list[str]:
    """Different requests, as people type them."""
    requests: dict[str, None] = {}
    while len(requests) < count:
        template, fields = rng.choice(_TEMPLATES)
        text = template.format(*map(rng.choice, fields))
        kind = rng.random()
        if kind < 0.35:
            text = text[:1].upper() + text[1:]
        if kind > 0.8:
            text = rng.choice(("please {}", "can you {}", "could you {}?", "hi, {}", "{} please")).format(text)
        if text not in HELD_OUT:
            requests[text] = None
    return list(requests)
