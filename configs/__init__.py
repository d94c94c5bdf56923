"""The ready configs, one experiment per file.

Every file defines `get_config(arg)`, which returns the config; `arg` is the text after the colon in
`--config=configs/NAME.py:arg`. A file may also define:

    rows()      {name of a row of the results: its arg}, the runs that scripts/reproduce.py trains and compares
    sweep()     {key: text of its values}, the sweep that scripts/sweep.py runs by default
    tables()    {name of a table: its metrics and lines}, tables that scripts/reproduce.py makes of several rows
"""
