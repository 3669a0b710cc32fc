"""The command line: `python -m quartzcron`. commands.py has the commands, arguments.py what they accept, answers.py and
check.py compute the values that are printed, heatmap.py draws a year.
"""
