"""Many runs as one command: axes, plans, compiled groups, engines, searches and figures over runs."""
