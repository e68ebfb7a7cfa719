"""Messages worded like the rows that the bundled adapters are made for; none is from the data."""

PROMPTS = {
    "shell": (
        "tar: Extract an archive into a directory",
        "tar: extract archive.tar.gz into /tmp",
        "git-branch: List all branches",
        "how do I unpack foo.tar.gz with tar?",
        "grep: Search for a pattern in a file",
        "docker: List all containers",
        "ffmpeg: Convert a video to another format",
        "systemctl: Restart a service",
        "curl: Download a file",
    ),
    "sql": (
        "Which country has the largest population?\ncolumns: country, population, area",
        "How many players are from Norway?\ncolumns: player, country, position",
        "What is the score on March 3?\ncolumns: date, score, opponent",
        "Who won in 1998?\ncolumns: year, winner, runner_up",
        "What is the average attendance when the result is a loss?\ncolumns: attendance, result",
        "Name the director of episode 12\ncolumns: episode, director, title",
        "What is the lowest rank with more than 5 wins?\ncolumns: rank, wins, team",
        "Which team plays in Oslo?\ncolumns: team, city, founded",
    ),
    "describe": (
        "name[The Eagle], eatType[coffee shop], food[French], area[riverside]",
        "name[Blue Spice], priceRange[cheap], near[Burger King]",
        "name[The Mill], eatType[pub], food[English], familyFriendly[yes]",
        "name[Aromi], eatType[restaurant], customer rating[5 out of 5]",
        "name[Zizzi], food[Italian], priceRange[high], area[city centre]",
        "name[The Wrestlers], familyFriendly[no], near[Raja Indian Cuisine]",
        "name[Cotto], eatType[pub], food[Fast food], near[The Portland Arms]",
        "name[Green Man], area[riverside], familyFriendly[no]",
    ),
    "extract": (
        "I need a table for four on Friday at 8pm",
        "My name is Ana Horvat and we are three",
        "can you make it 6 people instead",
        "tomorrow at noon please",
        "a table for two tonight",
        "book it for 12/05/2019 at 7:30 pm",
        "there will be 5 of us",
        "Do you have parking?",
    ),
    "banking": (
        "My card has not arrived yet",
        "why was I charged a fee for the transfer?",
        "I forgot my PIN",
        "how do I activate my new card?",
        "the cash machine swallowed my card",
        "can I top up with Apple Pay?",
        "my transfer is still pending",
        "how do I change my address?",
        "the exchange rate is wrong",
    ),
    "dates": (
        "to ISO: the 3rd of February 2021",
        "to ISO: 4/3/1975",
        "to ISO: Mon, 12 Oct 98",
        "to ISO: December 25, 2031",
        "to ISO: 03.11.2004",
        "to ISO: nineteen ninety-nine May 1st",
        "what is 7 June 2010 in ISO format?",
        "to ISO: 20240229",
    ),
}

SMALL_TALK = (
    "hello, what can you do?",
    "who are you?",
    "how do I get a real model?",
    "thank you very much",
    "tell me a joke",
)

FRENCH = (
    "translate good morning to french",
    "how do you say thank you in french",
    "what is the french word for bread",
    "say 'see you tomorrow' in french",
    "put this into french: I am late",
)
