"""Worker processes: functions run in processes of their own and are killed, with their children, at their limit.

    kind.py           the row of the kind `process`: made from the settings, checked by the doctor
    executor.py       ProcessExecutor: the pool, which task goes to which worker, the limits
    limits.py         Limits: kills a worker whose run is over its limit
    results.py        Results: what the workers have reported, how long functions take
    loading.py        for how long a worker may load the functions
    queue.py          TaskQueue: the tasks that no worker has yet, by how long their functions take
    pool_size.py      PoolSize: how many workers there should be
    worker.py         WorkerProcess: the daemon's side of one process: what was sent to it, what it reported
    chunk.py          Chunk: tasks that were sent together
    silence.py        for how long a worker has not answered although it could have
    worker_lines.py   what a worker prints, by run, within the limits
    raw_output.py     what child processes and C code of a worker print
    protocol.py       the orders that a worker is sent
    worker_messages.py  what a worker tells the daemon, and why that can be believed
    progress_cell.py  the shared memory in which a worker shows how far it is
    program.py        the worker's side: the program that calls the functions
    worker_clock.py   the clocks of that program, which no function can set
    run_output.py     what a run prints, cut into lines
    process_state.py  what the process has in one copy, put back after each run
    zombies.py        the worker as the reaper of its descendants
    killed_processes.py  killed processes that the kernel cannot end yet
    run_threads.py    which run a thread belongs to
    process_tree.py   killing a process with all its descendants; dying with the daemon
    niceness.py       lower priority for workers that start or run for long

How a hung function is killed: `ProcessExecutor.next_check` has the daemon call `collect` at the limit of the run;
`Limits.enforce` (limits.py) takes back the tasks behind it and calls `WorkerProcess.kill`, which is
`process_tree.kill`: SIGKILL for the worker and everything that descends from it.
"""
