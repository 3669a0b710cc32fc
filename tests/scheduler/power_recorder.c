/* Records what programs write to files below RECORDED_FOLDER, and what they have synced, in the order of the calls.

   Loaded by LD_PRELOAD into every process of a test; see power_cuts.py, which reads the records. One record:
   kind (1 byte), length of the path (2), offset (8), length of the data (4), microseconds (8), path, data. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#pragma pack(push, 1)
struct head { char kind; uint16_t path; uint64_t offset; uint32_t data; uint64_t micros; };
#pragma pack(pop)

static int is_recorded(const char *path) {
    const char *folder = getenv("RECORDED_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static void record(char kind, const char *path, uint64_t offset, const void *data, size_t length) {
    static int log = -1;
    if (log < 0) log = open(getenv("RECORD_TO"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t micros = (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    struct head head = {kind, (uint16_t)strlen(path), offset, (uint32_t)length, micros};
    /* One call, so that records of several processes do not mix. */
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)path, strlen(path)}, {(void *)data, length}};
    syscall(SYS_writev, log, parts, length ? 3 : 2);
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_recorded(path);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    REAL(pwrite64);
    char path[PATH_MAX];
    ssize_t done = real(fd, data, length, offset);
    if (done > 0 && path_of(fd, path)) record('w', path, offset, data, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
    REAL(write);
    char path[PATH_MAX];
    ssize_t done = real(fd, data, length);
    if (done > 0 && path_of(fd, path)) record('w', path, lseek(fd, 0, SEEK_CUR) - done, data, done);
    return done;
}

int ftruncate64(int fd, off64_t length) {
    REAL(ftruncate64);
    char path[PATH_MAX];
    int failed = real(fd, length);
    if (!failed && path_of(fd, path)) record('t', path, length, NULL, 0);
    return failed;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fdatasync(int fd) {
    REAL(fdatasync);
    char path[PATH_MAX];
    int failed = real(fd);
    if (!failed && path_of(fd, path)) record('s', path, 0, NULL, 0);
    return failed;
}

int fsync(int fd) { return fdatasync(fd); }

int unlink(const char *path) {
    REAL(unlink);
    int failed = real(path);
    if (!failed && is_recorded(path)) record('u', path, 0, NULL, 0);
    return failed;
}
