"""Downloads from the Hugging Face Hub; knows no pack."""
