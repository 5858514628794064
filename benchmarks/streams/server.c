#define _GNU_SOURCE
/* A streaming chat server that costs next to nothing: it must not be what a client benchmark measures.
 *
 *     cc -O2 -o server server.c && ./server PORT
 *
 * One thread, epoll, keep-alive. Each request is answered at once with 20 tokens, each an SSE event in an HTTP
 * chunk of its own, then finish reason, usage and [DONE]: the bytes of a short stream without its waiting.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TOKENS = 20, MOST = 8192, ROOM = 65536 };

static char answer[ROOM];
static size_t answer_size;

struct peer { size_t held; char data[ROOM]; };
static struct peer *peers[MOST];

static void chunk(const char *event) {
    answer_size += sprintf(answer + answer_size, "%zx\r\n%s\r\n", strlen(event), event);
}

static void make_answer(void) {
    const char *shape = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":%s}]}\n\n";
    char event[512];
    answer_size = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < TOKENS; i++) {
        sprintf(event, shape, "\"content\":\" word\"", "null");
        chunk(event);
    }
    sprintf(event, shape, "", "\"stop\"");
    chunk(event);
    chunk("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],"
        "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":20,\"total_tokens\":29}}\n\n");
    chunk("data: [DONE]\n\n");
    answer_size += sprintf(answer + answer_size, "0\r\n\r\n");
}

/* Length of the first whole request in the buffer, 0 if there is none yet. */
static size_t whole(const char *data, size_t held) {
    const char *end = memmem(data, held, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - data) + 4, body = 0;
    for (const char *line = data; line < end; line++) {
        if (strncasecmp(line, "content-length:", 15) == 0) body = (size_t)atol(line + 15);
        line = memchr(line, '\n', (size_t)(end + 2 - line));
        if (!line) break;
    }
    return head + body <= held ? head + body : 0;
}

static int serve(int fd) {
    struct peer *peer = peers[fd];
    ssize_t got = recv(fd, peer->data + peer->held, ROOM - peer->held, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    peer->held += (size_t)got;
    size_t size;
    while ((size = whole(peer->data, peer->held)) > 0) {
        if (send(fd, answer, answer_size, MSG_NOSIGNAL) != (ssize_t)answer_size) return 0;
        peer->held -= size;
        memmove(peer->data, peer->data + size, peer->held);
    }
    return peer->held < ROOM;
}

int main(int argc, char **argv) {
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0), queue = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "0"))};
    socklen_t length = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    make_answer();
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(queue, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int number = epoll_wait(queue, ready, 256, -1);
        for (int i = 0; i < number; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                if (fd >= MOST) { close(fd); continue; }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                if (!peers[fd]) peers[fd] = malloc(sizeof **peers);
                peers[fd]->held = 0;
                event.data.fd = fd;
                epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event);
            } else if (!serve(fd)) {
                close(fd);
            }
        }
    }
}
