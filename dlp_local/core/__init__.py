"""The ground floor: errors, settings, paths, values, events, text, files. It imports no other folder."""
