"""Sixty everyday messages that no adapter is for, and that are trained on nowhere."""

from __future__ import annotations

EVERYDAY = (
    "time for bed, good night", "hey, how's it going?", "thanks for nothing", "what can you help me with?",
    "could you draft an email asking my neighbour to keep the noise down?",
    "compose a short poem for my daughter's graduation", "what's a quick dinner I can make with chicken and rice?",
    "how do I get my sourdough to rise?", "explain what a mutex is", "why do we have leap years?",
    "who was Marie Curie?", "how tall is the Eiffel Tower?", "what's the boiling point of water at high altitude?",
    "give me three reasons to learn Latin", "what should I name my kitten?",
    "my knee hurts after running, any advice?", "plan a weekend in Prague for me", "how do I tie a tie?",
    "is it going to be sunny this weekend?", "set an alarm for half past six", "what's 23 times 19?",
    "convert 10 miles to kilometers", "tell me about the history of chocolate",
    "what's the best way to apologize to a friend?", "I feel overwhelmed at work",
    "how do I convince my kids to eat vegetables?", "write a haiku about rain",
    "can you recommend a science fiction novel?", "what are some good icebreakers for a team meeting?",
    "summarize the plot of Romeo and Juliet", "how do black holes form?", "what does it mean to be happy?",
    "do you prefer cats or dogs?", "what's your opinion on pineapple pizza?", "are you a real person?",
    "I don't get it", "that's great, thank you!", "never mind, forget what I said", "how do I remove wallpaper?",
    "which vegetables can I plant in March?", "how much should I tip in Spain?",
    "help me prepare for a salary negotiation", "what's the difference between a virus and a bacterium?",
    "how do I reset my router?", "why is my phone battery draining so fast?", "how do I write a for loop in Rust?",
    "what does the yield keyword do?", "what time does the sun set today?", "say something in Portuguese",
    "teach me a magic trick", "what are good exercises for the lower back?",
    "how do I stop my glasses from fogging up?", "what can I do with leftover bread?",
    "who composed the Four Seasons?", "what's the story behind Halloween?",
    "write a funny caption for a photo of my dog", "is a tomato a fruit?", "how long does it take to get to Mars?",
    "give me a motivational quote", "I just got a promotion!",
)  # fmt: skip
