"""Eight rows for each task of the bundled pack, written for the tests."""

import json

DATES = {
    f"to ISO: {day} {month} {year}": f"{year}-{number:02}-{day:02}"
    for day, (month, number), year in zip(
        range(3, 27, 3),
        [("July", 7), ("May", 5), ("March", 3), ("June", 6), ("April", 4), ("August", 8), ("October", 10), ("May", 5)],
        range(1991, 1999),
        strict=True,
    )
}
SQL = {
    f"What is the {wanted} where the {column} is {value}?\ncolumns: {wanted}, {column}, year": (
        f"SELECT {wanted} FROM t WHERE {column} = '{value}'"
    )
    for wanted, column, value in [
        ("score", "team", "Norway"), ("city", "country", "France"), ("rank", "nationality", "Brazil"),
        ("title", "author", "Austen"), ("result", "opponent", "Leeds"), ("area", "name", "Lake Como"),
        ("party", "district", "Ohio 3"), ("time", "driver", "Senna"),
    ]
}  # fmt: skip
SHELL = {
    f"tar: list the contents of {name}.tar": f"tar tf {name}.tar"
    for name in ("notes", "photos", "old", "backup", "music", "site", "data", "mail")
}
DESCRIBE = {
    f"name[{name}], eatType[{kind}], food[{food}], area[{area}]": f"{name} is a {kind} in the {area} with {food} food."
    for name, kind, food, area in [
        ("The Mill", "pub", "English", "city centre"), ("Alimentum", "restaurant", "Italian", "riverside"),
        ("Zizzi", "coffee shop", "French", "riverside"), ("The Vaults", "pub", "Japanese", "city centre"),
        ("Aromi", "restaurant", "Chinese", "riverside"), ("Strada", "pub", "Indian", "city centre"),
        ("Giraffe", "coffee shop", "English", "riverside"), ("Wildwood", "restaurant", "French", "city centre"),
    ]
}  # fmt: skip
EXTRACT = {f"a table for {people} please": {"people": str(people)} for people in range(2, 10)}
BANKING = {
    "My card has not arrived yet": "card_arrival", "How do I activate my new card?": "activate_my_card",
    "I have forgotten my PIN": "passcode_forgotten", "Why was I charged for a withdrawal?": "cash_withdrawal_charge",
    "My top up failed": "topping_up_by_card", "Can I change my PIN?": "change_pin",
    "I think my card was stolen": "lost_or_stolen_card", "What is the exchange rate?": "exchange_rate",
}  # fmt: skip
TASKS = {
    "banking": (BANKING, None), "dates": (DATES, None), "describe": (DESCRIBE, None), "extract": (EXTRACT, None),
    "shell": (SHELL, "command"), "sql": (SQL, "sql"),
}  # fmt: skip


def example_rows(*tasks):
    """The rows of some tasks (none: of all) as dictionaries."""
    return [
        {"text": text, "answer": answer, "adapter": task} | ({"metric": metric} if metric else {})
        for task, (rows, metric) in TASKS.items()
        if not tasks or task in tasks
        for text, answer in rows.items()
    ]


def jsonl(rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def numbered(rows):
    return [(number, line.encode()) for number, line in enumerate(jsonl(rows).splitlines(), 1)]
