"""Exports of other programs, as they write them."""


def message(role, *parts, **more):
    kind = "multimodal_text" if any(isinstance(part, dict) for part in parts) else "text"
    content = {"content_type": kind, "parts": list(parts)}
    return {"author": {"role": role}, "content": content, "create_time": 1.7e9} | more


def chatgpt(current, title="Trip", **nodes):
    """A conversation of ChatGPT's: name → (parent, message)."""
    mapping = {
        name: {"id": name, "message": said, "parent": parent, "children": [c for c in nodes if nodes[c][0] == name]}
        for name, (parent, said) in nodes.items()
    }
    return {
        "title": title,
        "create_time": 1.7e9,
        "update_time": 1.7e9 + 60,
        "mapping": mapping,
        "current_node": current,
    }


TRIP = chatgpt(
    "a4",
    root=(None, None),
    system=("root", message("system", "")),
    custom=("system", message("user", "be brief", metadata={"is_visually_hidden_from_conversation": True})),
    u1=("custom", message("user", "Where to?", {"content_type": "image_asset_pointer", "asset_pointer": "x"})),
    a1=("u1", message("assistant", "To the sea\ue200cite\ue202turn0search0\ue201.")),
    a2=("u1", message("assistant", "search('sea')", recipient="browser")),
    tool=("a2", message("tool", "results")),
    a3=("tool", message("assistant", "To the hills.")),
    u2=("a3", message("user", "Which ones?")),
    u3=("a3", message("user", "Which hills?")),
    a4=("u3", message("assistant", "The green ones.")),
    a5=("u2", message("assistant", "All.")),
)


def talk(conversation):
    return [(turn.text, turn.answer) for turn in conversation.path()]


def webui(record=True):
    messages = {
        "1": {"id": "1", "parentId": None, "childrenIds": ["2", "3"], "role": "user", "content": "Hi"},
        "2": {"id": "2", "parentId": "1", "childrenIds": [], "role": "assistant", "content": "Hello!", "model": "x"},
        "3": {"id": "3", "parentId": "1", "childrenIds": ["4"], "role": "assistant", "content": "Good day!"},
        "4": {"id": "4", "parentId": "3", "childrenIds": [], "role": "user", "content": "Bye", "timestamp": 1700000000},
    }
    chat = {"title": "Greeting", "history": {"messages": messages, "currentId": "2"}, "timestamp": 1700000000123}
    return {"id": "x", "title": "Greeting", "chat": chat, "created_at": 1700000000, "pinned": True} if record else chat


LIBRECHAT = {
    "conversationId": "x",
    "endpoint": "openAI",
    "title": "Hi",
    "recursive": True,
    "messages": [{"messageId": "1", "sender": "User", "text": "Hi", "isCreatedByUser": True, "children": []}],
}
