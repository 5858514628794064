#define _GNU_SOURCE
/* The native client: reads short streams to their last chunk and looks at nothing in them.
 *
 *     cc -O2 -o client client.c && ./client PORT REQUESTS
 *
 * 20 connections in a closed loop over epoll: what no client can do with less CPU on this kernel, wrk included.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 20, ROOM = 65536 };

int main(int argc, char **argv) {
    const char *body = "{\"model\":\"acc/m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"stream\":true}";
    char request[512], data[ROOM], ends[1024][5] = {{0}};
    if (argc < 3) return 2;
    long left = atol(argv[2]), open = 0;
    int size = sprintf(request, "POST /chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %zu\r\n\r\n%s",
        strlen(body), body);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((unsigned short)atoi(argv[1]))};
    int queue = epoll_create1(0), yes = 1;
    for (int i = 0; i < CONNECTIONS && left > 0; i++, left--, open++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (connect(fd, (struct sockaddr *)&address, sizeof address)) return 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event);
        if (send(fd, request, (size_t)size, 0) != size) return 1;
    }
    while (open > 0) {
        struct epoll_event ready[CONNECTIONS];
        int number = epoll_wait(queue, ready, CONNECTIONS, -1);
        for (int i = 0; i < number; i++) {
            int fd = ready[i].data.fd;
            ssize_t got = recv(fd, data, ROOM, 0);
            if (got <= 0) return 1;
            char *end = ends[fd]; /* the last five bytes so far */
            for (ssize_t j = got > 5 ? got - 5 : 0; j < got; j++) {
                memmove(end, end + 1, 4);
                end[4] = data[j];
            }
            if (memcmp(end, "0\r\n\r\n", 5) != 0) continue;
            memset(end, 0, 5);
            if (left > 0) {
                left--;
                if (send(fd, request, (size_t)size, 0) != size) return 1;
            } else {
                open--;
            }
        }
    }
    return 0;
}
