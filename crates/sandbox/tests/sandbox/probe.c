/* Runs inside a sandbox and tries things. Each command prints one line: what came of it. Linked statically. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void result(const char *what, long value)
{
    if (value < 0)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: ok %ld\n", what, value);
    fflush(stdout);
}

static void cat(const char *path)
{
    char text[65536];
    int fd = open(path, O_RDONLY);
    long length;
    if (fd < 0) {
        result(path, -1);
        return;
    }
    while ((length = read(fd, text, sizeof text)) > 0)
        fwrite(text, 1, length, stdout);
    if (length < 0)
        result(path, -1);
    fflush(stdout);
}

static void list(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    if (!directory) {
        result(path, -1);
        return;
    }
    while ((entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            printf("%s ", entry->d_name);
    printf("\n");
    fflush(stdout);
}

/* Writes megabytes to a file until it is refused. */
static void fill(const char *path, long megabytes)
{
    static char block[4096];
    long written = 0, most = megabytes << 20;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        result("fill", -1);
        return;
    }
    memset(block, 'x', sizeof block);
    while (written < most) {
        long length = write(fd, block, sizeof block);
        if (length < 0) {
            printf("fill: %s after %ld\n", strerrorname_np(errno), written);
            fflush(stdout);
            return;
        }
        written += length;
    }
    result("fill", written);
}

static void connect_to(const char *address, int port)
{
    struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct timeval patience = { .tv_sec = 1 };
    char text[128] = { 0 };
    int six = strchr(address, ':') != 0;
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    inet_pton(six ? AF_INET6 : AF_INET, address, six ? (void *)&ipv6.sin6_addr : (void *)&ipv4.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, six ? (void *)&ipv6 : (void *)&ipv4, six ? sizeof ipv6 : sizeof ipv4) < 0) {
        result("connect", -1);
        return;
    }
    if (read(fd, text, sizeof text - 1) < 0) {
        result("connect", -1);
        return;
    }
    printf("connect: %s\n", text);
    fflush(stdout);
}

static void processes(int most)
{
    int made = 0;
    for (; made < most; made++) {
        pid_t child = fork();
        if (child < 0) {
            printf("processes: %s after %d\n", strerrorname_np(errno), made);
            fflush(stdout);
            return;
        }
        if (child == 0) {
            pause();
            _exit(0);
        }
    }
    result("processes", made);
}

static void descriptors(int most)
{
    int made = 0;
    for (; made < most; made++)
        if (open("/dev/null", O_RDONLY) < 0) {
            printf("descriptors: %s after %d\n", strerrorname_np(errno), made);
            fflush(stdout);
            return;
        }
    result("descriptors", made);
}

static void memory(long megabytes)
{
    for (long i = 0; i < megabytes; i++) {
        char *block = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) {
            result("memory", -1);
            return;
        }
        memset(block, 1, 1 << 20);
    }
    result("memory", megabytes);
}

static void syscalls(void)
{
    int fd;
    result("mount", mount("none", "/tmp", "tmpfs", 0, ""));
    result("unshare", unshare(CLONE_NEWUSER));
    result("clone", syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
    errno = 0;
    result("clone3", syscall(SYS_clone3, 0, 0));
    result("keyctl", syscall(SYS_keyctl, 0, -3, 1));
    result("bpf", syscall(SYS_bpf, 0, 0, 0));
    result("userfaultfd", syscall(SYS_userfaultfd, 1));
    result("io_uring", syscall(SYS_io_uring_setup, 1, 0));
    result("perf", syscall(SYS_perf_event_open, 0, 0, -1, -1, 0));
    result("ptrace_file", syscall(SYS_open_by_handle_at, 0, 0, 0));
    result("vsock", socket(40, SOCK_STREAM, 0));
    result("packet", socket(AF_PACKET, SOCK_RAW, 0));
    result("audit", socket(AF_NETLINK, SOCK_RAW, 9));
    fd = socket(AF_NETLINK, SOCK_RAW, 0);
    printf("route: %s\n", fd < 0 ? strerrorname_np(errno) : "ok");
    result("personality", syscall(SYS_personality, 0x0400000));
    result("x32", syscall(0x40000000 + 39));
    result("tiocsti", syscall(SYS_ioctl, 0, 0x5412, "x"));
    result("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
}

static void privileges(void)
{
    printf("ids: %d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
    result("setuid", setuid(0));
    result("remount", mount(0, "/", 0, MS_REMOUNT | MS_BIND, 0));
    result("umount", umount("/proc"));
    result("mknod", mknod("/tmp/disk", S_IFBLK | 0600, 0xfe00));
    result("sethostname", sethostname("other", 5));
    result("chroot", chroot("/tmp"));
    result("bound", prctl(PR_CAPBSET_READ, 21, 0, 0, 0));
    result("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    result("securebits", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
    cat("/proc/self/uid_map");
}

/* A grandchild whose parent is gone. Says who takes it over, and whether it is collected. */
static void orphan(void)
{
    int ends[2], go[2];
    pid_t grandchild = 0, parent = 0;
    char byte;
    pipe(ends);
    pipe(go);
    if (fork() == 0) {
        if (fork() == 0) {
            close(go[1]);
            read(go[0], &byte, 1);
            grandchild = getpid(), parent = getppid();
            write(ends[1], &grandchild, sizeof grandchild);
            write(ends[1], &parent, sizeof parent);
            _exit(0);
        }
        _exit(0);
    }
    wait(0);
    close(go[1]);
    read(ends[0], &grandchild, sizeof grandchild);
    read(ends[0], &parent, sizeof parent);
    printf("orphan of %d\n", parent);
    for (int i = 0; i < 500 && kill(grandchild, 0) == 0; i++)
        usleep(10000);
    result("orphan", kill(grandchild, 0));
}

/* Everything by which one process can get at another. */
static void look_at_init(void)
{
    static char text[16];
    const char *files[] = { "auxv", "environ", "maps", "mem", "pagemap", "smaps", "stack", "syscall", "personality",
                            "task/1/maps", "task/1/environ" };
    const char *links[] = { "cwd", "exe", "root", "fd/0", "ns/mnt", "ns/net" };
    char path[64];
    struct iovec here = { text, sizeof text }, there = { (void *)0x400000, sizeof text };
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/proc/1/%s", files[i]);
        int fd = open(path, O_RDONLY);
        result(path, fd < 0 ? -1 : read(fd, text, sizeof text));
    }
    for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
        snprintf(path, sizeof path, "/proc/1/%s", links[i]);
        result(path, readlink(path, text, sizeof text));
    }
    list("/proc/1/fd");
    list("/proc/1/root/");
    list("/proc/1/map_files");
    result("write mem", open("/proc/1/mem", O_WRONLY));
    result("write oom", open("/proc/1/oom_score_adj", O_WRONLY));
    result("ptrace", ptrace(PTRACE_SEIZE, 1, 0, 0));
    result("readv", syscall(SYS_process_vm_readv, 1, &here, 1, &there, 1, 0));
    result("getfd", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0));
    for (int signal = 0; signal <= 64; signal++)
        if (kill(1, signal) == 0 || (errno != EPERM && errno != EINVAL))
            result("kill", signal);
    printf("looked\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(word, "cat"))
            cat(next), i++;
        else if (!strcmp(word, "list"))
            list(next), i++;
        else if (!strcmp(word, "write"))
            result(next, open(next, O_WRONLY | O_CREAT, 0600)), i++;
        else if (!strcmp(word, "fill"))
            fill("/tmp/filled", atol(next)), i++;
        else if (!strcmp(word, "connect"))
            connect_to(next, atoi(argv[i + 2])), i += 2;
        else if (!strcmp(word, "processes"))
            processes(atoi(next)), i++;
        else if (!strcmp(word, "descriptors"))
            descriptors(atoi(next)), i++;
        else if (!strcmp(word, "memory"))
            memory(atol(next)), i++;
        else if (!strcmp(word, "child")) {
            /* Only a child goes beyond the limit. */
            if (fork() == 0) {
                memory(atol(next));
                _exit(0);
            }
            pause();
        } else if (!strcmp(word, "df")) {
            struct statvfs v;
            statvfs(next, &v);
            printf("df: %llu\n", (unsigned long long)v.f_bavail * v.f_frsize), i++;
        } else if (!strcmp(word, "kill")) {
            result("kill", kill(atoi(next), 0)), i++;
        } else if (!strcmp(word, "syscalls"))
            syscalls();
        else if (!strcmp(word, "init"))
            look_at_init();
        else if (!strcmp(word, "orphan"))
            orphan();
        else if (!strcmp(word, "signal"))
            result("signal", kill(getpid(), atoi(next))), i++;
        else if (!strcmp(word, "abort"))
            abort();
        else if (!strcmp(word, "segv"))
            *(volatile int *)0 = 0;
        else if (!strcmp(word, "privileges"))
            privileges();
        else if (!strcmp(word, "env"))
            for (char **e = environ; *e; e++)
                printf("%s\n", *e);
        else if (!strcmp(word, "daemon")) {
            if (fork() == 0) {
                setsid();
                for (;;)
                    pause();
            }
        } else if (!strcmp(word, "spin"))
            for (;;)
                ;
        else if (!strcmp(word, "pause")) {
            printf("pausing\n");
            fflush(stdout);
            for (;;)
                pause();
        } else if (!strcmp(word, "cwd"))
            printf("%s\n", getcwd((char[256]){ 0 }, 256));
        else if (!strcmp(word, "exit"))
            return fflush(stdout), atoi(next);
    }
    fflush(stdout);
    return 0;
}
