"""`scheduler up`: engine and daemon in one process. service.py starts the parts, in the order that it shows.

| files | part |
|---|---|
| service, announcement, banner, example_call | the start, and what is printed when all is ready |
| http_server, sockets, stop_signals, application, metrics_endpoint | serving until a stop signal |
| executors, declared_timers | what the daemon needs of the project |
| preview, preview_program, reload, handover | further processes: the stage's preview, and changed sources |
| run_reports, call_log, log_setup, nonblocking_output | what is printed and logged meanwhile |
"""
