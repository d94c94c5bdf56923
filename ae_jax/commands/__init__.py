"""The command line: flags, tables, reports, and tasks on a user's own files."""
