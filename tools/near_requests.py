"""Requests that use an adapter's words and are for base: questions about its subject, chores, facts, code, moods.

Drawn from templates and subjects, seeded; `HELD_OUT` are requests of the kind that nothing is trained on.
"""

from __future__ import annotations

import random

_CONCEPTS = (
    "a regular expression|regex|a capture group|a lookahead in regex|a lazy quantifier|a wildcard|cron|a crontab|"
    "a cron job|a systemd timer|JSON|a JSON schema|YAML|XML|a CSV file|SQL|a SELECT statement|a left join|"
    "a primary key|a foreign key|a database view|an index in a database|a transaction|SQLite|PostgreSQL|NoSQL|bash|"
    "a shell script|a terminal|a symbolic link|a pipe in Unix|the PATH variable|an environment variable|root access|"
    "a package manager|SSH|a Docker container|git|a git branch|a merge conflict|a makefile|a daemon|ISO 8601|"
    "the Gregorian calendar|a leap year|a Unix timestamp|daylight saving time|UTC|a time zone|compound interest|"
    "a mortgage|a credit score|an index fund|inflation|a central bank|a tax return|a pension|bankruptcy|"
    "cryptocurrency|the gold standard|jazz|a symphony|a music label|the Billboard chart|a film genre|a book review|"
    "a cold front|the jet stream|humidity|a weather balloon|a Michelin star|a set menu|a gastropub|a food critic|"
    "the periodic table|a pivot table|a hedge fund|the stock exchange|a dividend|a student loan|a credit union|"
    "venture capital|identity theft|minimum wage|a savings goal|the national debt|a multiplication table|"
    "table manners|table tennis|a hotel minibar|a tasting menu|a talk show|a news channel|a streaming service|"
    "a movie trailer|reality TV"
).split("|")
_ABOUT = (
    "what is {}?|what's {}|what exactly is {}?|explain {}|explain what {} is|can you explain {} in simple words?|"
    "what does {} mean?|how does {} work?|why do people use {}?|why does {} matter?|who invented {}?|"
    "what are the advantages of {}?|what is {} good for?|I do not understand {}|tell me more about {}|"
    "where can I learn about {}?|what are common misunderstandings about {}?|write a paragraph about {}|define {}|"
    "a short history of {}|what problem does {} solve?|is {} still relevant today?|give me an example of {}|"
    "how would you describe {} to a beginner?|what should I know about {}?|what are the limits of {}?|"
    "when did {} become popular?|is {} overrated?|why do beginners struggle with {}?|which companies use {}?|"
    "name a good book on {}|does {} have a future?|how did people live without {}?|what do experts say about {}?|"
    "who benefits from {}?"
).split("|")
_CHORES = (
    "fix a dripping tap|clean a burnt pan|remove rust from a bicycle chain|replace a light bulb|"
    "find a stud in a wall|mount a TV on the wall|cut an onion without crying|sort the laundry|move a heavy sofa|"
    "get rid of ants in the kitchen|kill weeds in the lawn|install a smoke detector|wash a wool sweater|"
    "sharpen a kitchen knife|change the oil in my car|jump-start a car|check my tire pressure|find a lost earring|"
    "remove a splinter|stop a nosebleed|split firewood|join two boards|fold a fitted sheet|print photos at home|"
    "open a stuck jar|close a squeaky door|make a paper plane|build a bird house|connect my printer to the wifi|"
    "pack a suitcase|patch a hole in drywall|thaw a frozen pipe|extract honey from a comb|count calories|"
    "search for a good dentist|create a family budget|copy a house key|merge onto a highway|mount a horse|"
    "run a marathon|kill time at the airport|clone a plant|prune a rose bush|pull a loose tooth|push a stalled car|"
    "commit to an exercise routine|host a dinner party|patch my jeans|pipe frosting onto a cake|touch up paint|"
    "file my taxes|trace a drawing|watch a solar eclipse safely|list a house for sale|archive old family photos|"
    "delete a bad habit|download calm into my life|read music notes|write a song|tune a violin|"
    "get a job at a restaurant|open a restaurant|review a book|read a weather map|save for a house|"
    "invest a small amount|negotiate a salary|start a book club|set a table|date after a divorce|"
    "match a shirt with a tie|format an essay|schedule my study time|wake up early every day|repair a zipper|"
    "bleed a radiator|descale a kettle|remove gum from a carpet|get a wine stain out of a shirt|caulk a bathtub|"
    "hang a picture straight|replace a windshield wiper|clean a gutter|lubricate a lock|"
    "tighten a loose handle|find a roommate|find my car keys|remove wallpaper|stop a door from slamming|"
    "fix a wobbly chair|cut hair at home|keep squirrels out of the attic|dry wet shoes|freeze soup|"
    "bake without an oven|reheat pizza|peel garlic|plant tulips|walk in high heels|whistle with two fingers|"
    "win at poker|lower my heating bill|build credit|buy a first home|choose a pension plan|"
    "sell old gold|apply for a scholarship"
).split("|")
_ASKING = (
    "how do I {}?|how to {}|how can I {}?|how do you {}?|what do I need to {}?|any tips to {}?|steps to {}|"
    "is it hard to {}?|how long does it take to {}?|show me how to {}|explain how to {}|"
    "what is the easiest way to {}?|I want to {}, where do I start?|should I {} myself?|what does it cost to {}?|"
    "what is the safest way to {}?|help me {}"
).split("|")
_COMMANDS = (
    "tar xf archive.tar|grep -r TODO src|ls -la|chmod 755 run.sh|find . -name '*.log' -delete|git rebase -i HEAD~3|"
    "curl -I example.com|sudo apt update|ps aux|df -h|ssh -L 8080:localhost:80 host|rm -rf build|awk '{print $1}'"
).split("|")
_TOOLS = (
    "cron|bash|zsh|vim|git|tar|JSON|YAML|SQL|SQLite|Linux|regex|grep|curl|ssh|systemd|docker|tmux|PostgreSQL|"
    "ISO 8601|nginx|crontab|awk|Unix|XML|GitHub|a cron daemon|the regex engine"
).split("|")
_ON_TOOLS = (
    "who develops {}?|who created {}?|who looks after {} today?|what can I use instead of {}?|what replaces {}?|"
    "is there a better tool than {}?|is there something like {} with a window?|how is {} spelled?|why the name {}?|"
    "how do you say {} out loud?|what does {} stand for?|how old is {}?|is {} free software?|is {} dying?|"
    "should I learn {}?|do I need {} on Windows?|how popular is {}?|what do people dislike about {}?|"
    "which universities teach {}?|who pays for {}?|was {} a good idea?"
).split("|")
_UNNAMED = (
    "a chair without a back|a table for cards|a person who collects stamps|a group of crows|a baby goat|a round window|"
    "a restaurant on a train|a room without windows|a table that folds|a song without words|a bank for seeds|"
    "a very small kitchen|the day before a holiday|a film without sound|a word that reads the same backwards"
).split("|")
_PATTERNS = r"^\d{3}-\d{4}$|[A-Z]\w+|(foo|bar)?|\b\w+ing\b|^\s*$|[^,]+,[^,]+|(?=.*\d).{8,}|.*?".split("|")
_SCHEDULES = "*/5 * * * *|0 0 * * 0|30 8 * * 1-5|0 12 1 * *|15 3 * * *".split("|")
_QUERIES = (
    "SELECT name FROM users WHERE age > 30|SELECT COUNT(*) FROM orders|DELETE FROM logs WHERE day < 10|"
    "SELECT a.id FROM a JOIN b ON a.id = b.id"
).split("|")
_SNIPPETS = (
    "def add(a, b) return a + b|for i in range(10) print(i)|if x = 3: print(x)|console.log('hi'|"
    "function f() { return 1|int main() { puts(x) }|let x = [1, 2, 3|const a = {b: 1}; a.map(x => x)|"
    "<div><p>hello</div>|body { color: red; font-size: 12px|name: test\n  steps: - run|"
    "import numpy as n\nnp.array([1])|print('a' + 1)|while True: x += 1|class Dog: def bark(self): print('woof')|"
    "public static void main(String args)"
).split("|")
_ON_CODE = (
    "fix this code: {}|what is wrong with this code? {}|what does this code do: {}|why does this fail? {}|"
    "review my code: {}|rewrite this in Rust: {}|add comments to {}|why do I get a syntax error in {}"
).split("|")
_DAYS = (
    "July 4, 1776|9 November 1989|the 14th of July|May 8, 1945|October 12, 1492|20 July 1969|1 January 2000|March 15|"
    "11/11/1918|2020-03-11|February 29|the 5th of November|12/25/1991|June 6, 1944|April 15, 1912|the summer of 1969"
).split("|")
_PEOPLE = (
    "Napoleon|Cleopatra|Isaac Newton|Frida Kahlo|Nelson Mandela|Ada Lovelace|Mozart|Beyoncé|Johnny Cash|Miles Davis|"
    "Bob Dylan|Freddie Mercury|Jane Austen|Stephen King|George Orwell|Agatha Christie|Steven Spielberg|Meryl Streep|"
    "Usain Bolt|Serena Williams|Pelé|Barack Obama|Mahatma Gandhi|Neil Armstrong|Charles Darwin|Linus Torvalds"
).split("|")
_WORKS = (
    "Pride and Prejudice|The Hobbit|Moby Dick|Animal Farm|The Godfather|Casablanca|Titanic|The Matrix|Jurassic Park|"
    "Hamlet|War and Peace|The Great Gatsby|Star Trek|Abbey Road|The Magic Flute|Game of Thrones|Inception|Dracula"
).split("|")
_PLACES = (
    "Iceland|Japan|Morocco|Norway|Peru|Vienna|New York|Bangkok|Cape Town|Scotland|Cuba|Sydney|Prague|Texas|Rome|Kenya"
).split("|")
_THINGS = (
    "the most inhabitants|the highest mountains|the oldest university|the most gold medals|the longest coastline|"
    "the most championships|the highest tax|the cheapest phones|the fastest trains|the most volcanoes"
).split("|")
_NUMBERS = "two three four five six seven eight ten twelve twenty".split()
_NAMES = "Ana Ben Clara David Emma Felix Grace Hugo Ines Jonas".split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_HABITS = (
    "drink coffee|water my cactus|go for a run|wash my hair|change my toothbrush|eat fish|stretch|clean the fridge|"
    "feed a goldfish|take a nap|see a dentist|call my parents|eat breakfast|meditate|walk the dog"
).split("|")
_SCENES = (
    "the perfect beach|a busy train station|my ideal kitchen|a character for a novel|the taste of a mango|"
    "a rainy street|the Eiffel Tower|a typical day in space|a haunted coffee shop|how love feels|the color blue|"
    "an old pub by a river"
).split("|")
_SMALL_BUSINESSES = "bakery|sushi bar|coffee shop|pub|pizza place|bookstore|flower shop|bike repair shop".split("|")
_CARDS = "birthday|wedding|get-well|Christmas|thank-you|farewell|Valentine's".split("|")
_MOODS = (
    "I am so tired of my job|my cat ran away|I had a great day|nobody likes my cooking|I think I am in love|"
    "my best friend moved to another city|I failed my driving test|I cannot sleep because of the heat|"
    "I do not know what to study|my boss never listens to me|I finally finished my thesis|my back hurts|"
    "I miss my grandmother|I am proud of my daughter|we lost the match again|I am afraid of flying|"
    "it is raining and I am bored|I broke my favorite mug|the neighbors are loud again|I got the job"
).split("|")

_EVENTS = (
    "the World Cup|the Tour de France|the Olympics|Eurovision|Wimbledon|the presidential election|the Nobel Prize|"
    "the Oscars|the chess championship|the local election|the marathon|the spelling bee|last night's game"
).split("|")
_COMPANIES = "Lego|Ikea|Sony|Nokia|Toyota|Pixar|Adidas|Boeing|Samsung|Spotify|Netflix|Visa|Nestlé|Intel".split("|")
_ANIMALS = "shark|penguin|hedgehog|honey bee|wolf|parrot|sea turtle|camel|squirrel|python|blue whale|cheetah".split("|")
_SCIENCE = (
    "the area of a triangle|the speed of sound|Pythagoras's theorem|penicillin|the electron|the volume of a sphere|"
    "radioactivity|the double helix|continental drift|vitamin C|an ellipse|the theory of evolution|zero|oxygen"
).split("|")
_BODY = "a headache|hiccups|cold feet|a sore throat|itchy eyes|cramps at night|dry skin|a stiff neck|low energy".split(
    "|"
)

_TEMPLATES: tuple[tuple[str, list[str], float], ...] = (
    *((about, _CONCEPTS, 1.2) for about in _ABOUT),
    *((asking, _CHORES, 1.8) for asking in _ASKING),
    *((on_code, _SNIPPETS, 0.6) for on_code in _ON_CODE),
    *((ask, _TOOLS, 0.9) for ask in _ON_TOOLS),
    *((ask, _UNNAMED, 0.6) for ask in ("what do you call {}?", "is there a word for {}?", "draw {}")),
    *((ask, _COMMANDS, 0.6) for ask in ("what does {} do?", "explain the command {}", "is {} dangerous?")),
    *((ask, _PATTERNS, 0.6) for ask in ("what does the regex {} match?", "explain this pattern: {}", "what is {}")),
    *((ask, _SCHEDULES, 0.4) for ask in ("when does {} run?", "what does {} mean in cron?", "explain {}")),
    *((ask, _QUERIES, 0.4) for ask in ("what does this query do? {}", "explain {}", "make this query faster: {}")),
    *((ask, _DAYS, 0.7) for ask in ("what happened on {}?", "who was born on {}?", "why is {} famous?",
      "what day of the week was {}?", "write a diary entry for {}", "how long ago was {}?")),
    *((ask, _PEOPLE, 0.9) for ask in ("who is {}?", "when was {} born?", "why is {} famous?", "is {} still alive?",
      "what is the best work of {}?", "write a short biography of {}", "how old was {} at the first success?")),
    *((ask, _WORKS, 0.9) for ask in ("what is {} about?", "who wrote {}?", "who directed {}?", "summarize {}",
      "what are the themes of {}?", "recommend something like {}", "who is the main character of {}?",
      "why is {} so popular?", "when was {} made?", "how does {} end?")),
    *((ask, _PLACES, 0.9) for ask in ("what is the climate of {}?", "what should I see in {}?", "is {} expensive?",
      "what do people eat in {}?", "plan three days in {}", "what is the best month to visit {}?",
      "how do I tip at a restaurant in {}?", "what language is spoken in {}?", "is it safe to travel to {}?",
      "find me a cheap hotel in {}", "how many people live in {}?", "what should I wear in {} in winter?")),
    *((ask, _THINGS, 0.8) for ask in ("which country has {}?", "who has {}?", "how many countries have {}?")),
    *((ask, _NUMBERS, 0.7) for ask in ("what should I cook for {} people?", "is {} a lucky number?",
      "suggest a game for {} players", "how do I build a table for {}?", "I have {} brothers",
      "how do I seat {} guests?")),
    *((ask, _NAMES, 0.6) for ask in ("what does the name {} mean?", "{} and I had a fight", "write a rap about {}",
      "my sister {} is getting married", "is {} a common name?", "what should I give {} for her birthday?")),
    *((ask, _HABITS, 0.8) for ask in ("how often should I {}?", "is it healthy to {} every day?",
      "should I {} in the morning or at night?", "why do I {} so rarely?", "how many times a week do people {}?")),
    *((ask, _WEEKDAYS, 0.7) for ask in ("what should I do on {} evening?", "why is {} called {}?",
      "I am always tired on {}s", "is the post office open on {}?", "plan my {}", "a poem about {} mornings")),
    *((ask, _SCENES, 0.7) for ask in ("describe {}", "describe {} in two sentences", "describe {} for me please")),
    *((ask, _SMALL_BUSINESSES, 0.7) for ask in ("write an ad for a {}", "how do I open a {}?",
      "invent a name for a {}", "write a bad review of a {}", "what makes a good {}?", "a funny story set in a {}")),
    *((ask, _CARDS, 0.6) for ask in ("what do I write in a {} card?", "design a {} card", "a rhyme for a {} card")),
    *((ask, _EVENTS, 0.6) for ask in ("who won {}?", "when is {}?", "how many people watch {}?", "the result of {}?",
      "who is the favorite for {}?", "what are the rules of {}?", "any news about {}?")),
    *((ask, _COMPANIES, 0.6) for ask in ("who founded {}?", "what does {} sell?", "is {} a good employer?",
      "how much is {} worth?", "when was {} founded?", "should I invest in {}?", "who runs {}?")),
    *((ask, _ANIMALS, 0.6) for ask in ("how fast is a {}?", "where does a {} live?", "what does a {} eat?",
      "how old can a {} get?", "draw a {}", "is a {} dangerous?", "how many kinds of {} are there?")),
    *((ask, _SCIENCE, 0.6) for ask in ("who discovered {}?", "what is the formula for {}?", "why is {} important?",
      "when was {} first described?", "give me a fun fact about {}")),
    *((ask, _BODY, 0.6) for ask in ("why do I have {}?", "what helps against {}?", "is {} a bad sign?")),
    ("{}", _MOODS, 1.0),
    ("{}, what should I do?", _MOODS, 1.0),
)  # fmt: skip

_PARTS = (
    "a bigger model|another model|the model|a backbone|an adapter|your adapters|the settings|my chat history|"
    "the router|a pack|the context|the temperature|a system prompt|a persona|this program|the license|"
    "your training data|a GPU|the newest version|the documentation|the memory|the answer length|my data"
).split("|")
_ON_PARTS = (
    "how do I change {}?|where do I find {}?|what is {} for?|is {} stored on my disk?|how do I install {}?|"
    "can I delete {}?|how large is {}?|do I need {}?|which files belong to {}?|can I use you without {}?|"
    "how do I get {}?|why is {} so slow?|can you tell me about {}?|is {} free?|where does {} come from?|"
    "how can I share {}?|what happens to {} when I close the window?"
).split("|")

HELD_OUT = (
    "What is a regular expression engine?", "Are regexes faster than plain string search?",
    "Who came up with the star in regular expressions?", "Knit me a pattern idea for a winter scarf",
    "What's the deal with greedy matching?", "How do I unblock a toilet?",
    "How can I get candle wax off a tablecloth?", "how to silence a creaking floor",
    "How do I find a reliable plumber?", "What kills mold on bathroom tiles?", "how do I move to another country?",
    "Which Linux distribution is best for beginners?", "Is vim better than emacs?",
    "what is the difference between bash and zsh?", "What does the kernel of an OS do?", "Why is it called a shell?",
    "Who maintains cron these days?", "Is there a graphical alternative to cron?", "How many weeks are in a year?",
    "What time do banks in Spain usually close?", "I go swimming on Tuesdays and love it",
    "How often do elephants sleep?", "Is XML nicer to read than JSON?", "Is JSON a programming language?",
    "Why does JSON not allow comments?", "How do I pronounce JSON?", "Why do some teams avoid SQL databases?",
    "How many moons does Jupiter have?", "Which team won the World Cup in 1998?",
    "What is the average height of a giraffe?", "Who was the youngest president of the United States?",
    "What happened in Berlin in 1989?", "When did the Titanic sink?", "Why do Americans write the month first?",
    "What's my zodiac sign if I was born on May 3?", "How many days are there between Christmas and Easter?",
    "How do banks make money?", "Should I buy stocks or bonds?", "Which card games can two people play?",
    "What does it mean to be financially independent?", "How do I teach my kids about money?",
    "Who designed the first banknote?", "Who is the singer of Coldplay?", "What is the plot of The Lion King?",
    "Is classical music good for studying?", "How do tornadoes form?",
    "Why is the weather so different in mountains?", "Which novels should everyone read?",
    "What is a good first instrument for a child?", "How do film critics rate movies?",
    "How do I cook dinner for eight?", "What is the etiquette when a guest arrives late for dinner?",
    "My name means lion, isn't that cool?", "We are a family of five and need a holiday idea",
    "What do you call a table with three legs?", "Describe your favorite painting",
    "What makes a restaurant romantic?", "Write a tagline for a French bistro",
    "Fix this function: def area(r): return 3.14 * r * r)",
    "Translate this Python loop to JavaScript: for x in xs: print(x)",
)  # fmt: skip


def _typed(text: str, rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.35:
        text = text[:1].upper() + text[1:]
    elif kind > 0.9:
        text = rng.choice(("hi, {}", "hello! {}", "please tell me: {}", "{} thanks", "ok, {}")).format(text)
    return text.rstrip("?") if rng.random() < 0.2 else text


def make_requests(count: int, rng: random.Random) -> list[str]:
    """Different requests, as people type them."""
    requests: dict[str, None] = {}
    weights = [weight for *_, weight in _TEMPLATES]
    while len(requests) < count:
        ((template, subjects, _),) = rng.choices(_TEMPLATES, weights)
        text = _typed(template.replace("{}", rng.choice(subjects)), rng)
        if text not in HELD_OUT:
            requests[text] = None
    return list(requests)


def about_the_program(count: int, rng: random.Random) -> list[str]:
    """Different questions about the assistant itself and its parts."""
    questions: dict[str, None] = {}
    while len(questions) < count:
        questions[_typed(rng.choice(_ON_PARTS).replace("{}", rng.choice(_PARTS)), rng)] = None
    return list(questions)
