/* WebSocket clients in one thread: the load of websocket_run.py, which builds this with cc.

   websocket_load MODE PORT PATH CLIENTS BYTES

   MODE echo: each client sends a message, waits until all of the answer is here, sends the next.
   MODE broadcast: the first client sends one; when it has come to all, the next.
   MODE idle: each client has one message echoed, and is silent from then on.

   It says "open" when all have their WebSocket, or "error: WHY". To each line of its input it says
   how many whole messages have come so far, and when, in seconds. The end of its input ends it.

   Frames are made once and masked as a browser masks. Of what comes back, the head of each frame is
   read and compared, so that what is counted is a message; its bytes are compared the first time. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX 14
#define BATCH 1024
#define DOOR 64
#define PER_ADDRESS 1000 /* ports of one address run out, so clients come from several */

struct client {
    int fd;
    size_t got; /* bytes of the frame that arrives */
    int compared;
};

static struct client *clients;
static int count;
static int broadcast;
static int idle;
static uint8_t *frame, *answer; /* what is sent, what must come back */
static size_t frame_size, answer_size;
static uint64_t messages;
static uint8_t scratch[1 << 18];

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("error: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(1);
}

static size_t head(uint8_t *out, size_t size, int mask) {
    out[0] = 0x82;
    if (size <= 125) {
        out[1] = (uint8_t)size | mask;
        return 2;
    }
    if (size > 0xffff)
        fail("messages have at most 65535 bytes here");
    out[1] = 126 | mask;
    out[2] = size >> 8;
    out[3] = size & 0xff;
    return 4;
}

static void make_frames(size_t size) {
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t at, i;
    frame = malloc(size + HEAD_MAX);
    answer = malloc(size + HEAD_MAX);
    at = head(answer, size, 0);
    answer_size = at + size;
    for (i = 0; i < size; i++)
        answer[at + i] = 'a' + i % 26;
    at = head(frame, size, 0x80);
    memcpy(frame + at, key, 4);
    at += 4;
    frame_size = at + size;
    for (i = 0; i < size; i++)
        frame[at + i] = ('a' + i % 26) ^ key[i & 3];
}

static void send_all(int fd, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            size -= sent;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {fd, POLLOUT, 0};
            poll(&wait, 1, 1000);
        } else {
            fail("send: %s", strerror(errno));
        }
    }
}

/* Connect and ask for a WebSocket. */
static int asked(int port, const char *path, int number) {
    char text[512];
    struct sockaddr_in here = {.sin_family = AF_INET}, there = {.sin_family = AF_INET};
    struct linger reset = {1, 0}; /* a closed port would rest for a minute */
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number / PER_ADDRESS);
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    there.sin_port = htons(port);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (fd < 0 || bind(fd, (void *)&here, sizeof here) || connect(fd, (void *)&there, sizeof there))
        fail("client %d: %s", number, strerror(errno));
    int size = snprintf(text, sizeof text,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n", path, port);
    send_all(fd, text, size);
    return fd;
}

/* Read the answer to that. */
static void shaken(int fd, int number) {
    char text[1024];
    size_t got = 0;
    do { /* byte by byte: what follows the head is not ours yet */
        if (got == sizeof text || recv(fd, text + got, 1, 0) != 1)
            fail("client %d: no handshake", number);
        got++;
    } while (got < 4 || memcmp(text + got - 4, "\r\n\r\n", 4));
    if (strncmp(text, "HTTP/1.1 101", 12))
        fail("client %d: %.*s", number, (int)strcspn(text, "\r"), text);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* Check bytes of an answer, which begin at one of its own. */
static void check(struct client *client, const uint8_t *data, size_t size) {
    size_t most = client->compared ? 2 : answer_size;
    if (client->got < most) {
        size_t part = most - client->got < size ? most - client->got : size;
        if (memcmp(data, answer + client->got, part))
            fail("client %d got another message than was sent: %02x %02x",
                 (int)(client - clients), data[0], part > 1 ? data[1] : 0);
    }
}

static void take(struct client *client, const uint8_t *data, size_t size) {
    while (size) {
        size_t part = answer_size - client->got < size ? answer_size - client->got : size;
        check(client, data, part);
        data += part;
        size -= part;
        client->got += part;
        if (client->got < answer_size)
            return;
        client->got = 0;
        client->compared = 1;
        messages++;
        if (!broadcast && !idle)
            send_all(client->fd, frame, frame_size);
        else if (broadcast && messages % count == 0)
            send_all(clients[0].fd, frame, frame_size);
    }
}

static void receive(struct client *client) {
    ssize_t got = recv(client->fd, scratch, sizeof scratch, 0);
    if (got > 0)
        take(client, scratch, got);
    else if (got == 0 || errno != EAGAIN)
        fail("client %d was cut off", (int)(client - clients));
}

static void tell(void) {
    char line[64];
    struct timespec now;
    if (read(0, line, sizeof line) <= 0)
        exit(0);
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%llu %.6f\n", (unsigned long long)messages, now.tv_sec + now.tv_nsec / 1e9);
}

int main(int argc, char **argv) {
    static struct epoll_event ready[BATCH];
    struct epoll_event event = {.events = EPOLLIN};
    int i, shaking = 0, watch = epoll_create1(0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 6)
        fail("MODE PORT PATH CLIENTS BYTES");
    broadcast = !strcmp(argv[1], "broadcast");
    idle = !strcmp(argv[1], "idle");
    count = atoi(argv[4]);
    clients = calloc(count, sizeof *clients);
    make_frames(atoi(argv[5]));
    for (i = 0; i < count; i++) {
        clients[i].fd = asked(atoi(argv[2]), argv[3], i);
        /* Several at a time: some servers look for new ones a hundred times a second. */
        while (shaking <= i && (i - shaking == DOOR || i == count - 1)) {
            shaken(clients[shaking].fd, shaking);
            shaking++;
        }
    }
    for (i = 0; i < count; i++) {
        event.data.ptr = &clients[i];
        epoll_ctl(watch, EPOLL_CTL_ADD, clients[i].fd, &event);
    }
    event.data.ptr = NULL; /* our own input */
    epoll_ctl(watch, EPOLL_CTL_ADD, 0, &event);
    printf("open\n");
    for (i = 0; i < (broadcast ? 1 : count); i++)
        send_all(clients[i].fd, frame, frame_size);
    for (;;) {
        int found = epoll_wait(watch, ready, BATCH, -1);
        for (i = 0; i < found; i++) {
            if (ready[i].data.ptr)
                receive(ready[i].data.ptr);
            else
                tell();
        }
    }
}
