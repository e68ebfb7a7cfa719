"""Whether routing helps: rows whose answers are known, answered under several policies, scored and compared."""
