"""Worker processes: functions run in processes of their own and are killed, with their children, at their limit.

docs/files.md says what each file holds.

How a hung function is killed: `ProcessExecutor.next_check` has the daemon call `collect` at the limit of the run;
`TimeLimits.enforce` (time_limits.py) takes back the tasks behind it and calls `WorkerProcess.kill`, which is
`process_tree.kill`: SIGKILL for the worker and everything that descends from it.
"""
