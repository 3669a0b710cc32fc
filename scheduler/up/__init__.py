"""`scheduler up`: a supervisor, and the processes that it keeps running; architecture.md draws them.

| files | part |
|---|---|
| supervisor, generation, restarts, launch, stopping | which processes run: their start, restarts and end |
| process, handover, orders, orphans | one process, as the supervisor sees it, and as it sees the supervisor |
| reload, served_sources | changed sources: served at once, or only reported |
| options, announcement, banner, example_call | the options, and what is printed when all processes are ready |
| program | the program of the processes: web, daemon, stage, console, or the service, which is web and daemon in one |
| web, application, call_lines, raw_output, raw_pipes | the process that answers HTTP, without the store |
| self_check, shared_state | what that process checks and restores after calls |
| console | the process of the web console |
| line_relay | the lines of all processes that answer HTTP, in the supervisor |
| daemon, executors, metrics_endpoint | the process that fires timers |
| supervisor_messages, call_log, declared_timers, served_functions | what it stores for those that answer HTTP |
| one_process | both in one process |
| http_server, sockets, stop_signals, service_manager | serving until an order to stop |
| run_reports, log_setup, nonblocking_output | what is printed and logged meanwhile |
"""
