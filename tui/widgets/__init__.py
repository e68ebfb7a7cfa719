"""Small widgets: each renders values that it is given and posts messages; none holds the truth."""
