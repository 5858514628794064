#define _GNU_SOURCE
/* A streaming chat server that costs next to nothing: it must not be what a client benchmark measures.
 *
 *     cc -O2 -o server server.c && ./server PORT [FIRST_MS GAP_MS TOKENS TRUTH]
 *
 * One thread, epoll, keep-alive. It never sleeps: a client's send() need not wake it, and so costs every client
 * the same. With a port alone, each request is answered at once with 20 tokens, each an SSE event in an HTTP chunk
 * of its own, then finish reason, usage and [DONE]: the bytes of a short stream without its waiting.
 *
 * With four more arguments streams are paced: the first token FIRST_MS after the request, then one every GAP_MS,
 * each written on its own; TLS is done when TLS_CERT and TLS_KEY name files (compile with -DTLS -lssl -lcrypto).
 * When asked to end (SIGTERM) it writes what it truly did to the file TRUTH, a line per whole stream:
 *
 *     request id, first and last send instant (UTC, ns, taken before the write), greatest gap, sum of gaps, tokens
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/ssl.h>
#endif

enum { TOKENS = 20, MOST = 8192, ROOM = 65536, ID = 96, DONE_MOST = 1 << 20 };

static char answer[ROOM], head[ROOM], token[ROOM], tail[ROOM];
static size_t answer_size, head_size, token_size, tail_size;
static int64_t first_ns, gap_ns, tokens;
static volatile sig_atomic_t ending;

struct peer { size_t held; int fd, open, sent; int64_t first, last, widest; char id[ID]; void *tls; char data[ROOM]; };
static struct peer *peers[MOST];

struct truth { char id[ID]; int64_t first, last, widest; int sent; };
static struct truth *truths;
static size_t truths_size;

/* Streams in the order in which they are due. All wait equally long, so that new ones go to the end. */
struct due { struct peer *peer; int64_t at; };
struct line { struct due *all; size_t from, to; };
static struct line starting, going;
enum { LINE = 1 << 14 };

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void push(struct line *line, struct peer *peer, int64_t at) {
    line->all[line->to++ % LINE] = (struct due){peer, at};
}

static size_t chunk(char *to, const char *event) {
    return (size_t)sprintf(to, "%zx\r\n%s\r\n", strlen(event), event);
}

static void make_answer(void) {
    const char *shape = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":%s}]}\n\n";
    char event[512];
    head_size = (size_t)sprintf(head, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
    sprintf(event, shape, "\"content\":\" word\"", "null");
    token_size = chunk(token, event);
    sprintf(event, shape, "", "\"stop\"");
    tail_size = chunk(tail, event);
    tail_size += chunk(tail + tail_size, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,"
        "\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":20,\"total_tokens\":29}}\n\n");
    tail_size += chunk(tail + tail_size, "data: [DONE]\n\n");
    tail_size += (size_t)sprintf(tail + tail_size, "0\r\n\r\n");
    memcpy(answer, head, answer_size = head_size);
    for (int i = 0; i < TOKENS; i++, answer_size += token_size) memcpy(answer + answer_size, token, token_size);
    memcpy(answer + answer_size, tail, tail_size);
    answer_size += tail_size;
}

static int put(struct peer *peer, const char *data, size_t size) {
#ifdef TLS
    if (peer->tls) return SSL_write(peer->tls, data, (int)size) == (int)size;
#endif
    return send(peer->fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static ssize_t take(struct peer *peer) {
#ifdef TLS
    if (peer->tls) {
        int got = SSL_read(peer->tls, peer->data + peer->held, (int)(ROOM - peer->held));
        if (got > 0) return got;
        errno = SSL_get_error(peer->tls, got) == SSL_ERROR_WANT_READ ? EAGAIN : EIO;
        return -1;
    }
#endif
    return recv(peer->fd, peer->data + peer->held, ROOM - peer->held, 0);
}

/* Length of the first whole request in the buffer, 0 if there is none yet. */
static size_t whole(const char *data, size_t held) {
    const char *end = memmem(data, held, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t size = (size_t)(end - data) + 4, body = 0;
    for (const char *line = data; line < end; line++) {
        if (strncasecmp(line, "content-length:", 15) == 0) body = (size_t)atol(line + 15);
        line = memchr(line, '\n', (size_t)(end + 2 - line));
        if (!line) break;
    }
    return size + body <= held ? size + body : 0;
}

/* Begin a paced stream; its id is what the client calls the request in its metadata. */
static void begin(struct peer *peer, size_t size) {
    const char *key = "\"request_id\": \"", *at = memmem(peer->data, size, key, strlen(key));
    size_t length = 0;
    if (at) for (at += strlen(key); at[length] != '"' && length < ID - 1; length++) peer->id[length] = at[length];
    peer->id[length] = 0;
    peer->sent = 0;
    peer->first = peer->last = peer->widest = 0;
    push(&starting, peer, now() + first_ns);
}

static int serve(struct peer *peer) {
    ssize_t got = take(peer);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    peer->held += (size_t)got;
    size_t size;
    while ((size = whole(peer->data, peer->held)) > 0) {
        if (tokens) begin(peer, size);
        else if (!put(peer, answer, answer_size)) return 0;
        peer->held -= size;
        memmove(peer->data, peer->data + size, peer->held);
    }
    return peer->held < ROOM;
}

static void tick(struct line *line) {
    while (line->from != line->to) {
        struct due due = line->all[line->from % LINE];
        int64_t at = now();
        if (due.at > at) return;
        line->from++;
        struct peer *peer = due.peer;
        if (!peer->open) continue;
        if (!peer->sent) put(peer, head, head_size);
        at = now();
        if (!put(peer, token, token_size)) continue;
        if (!peer->sent) peer->first = at;
        else if (at - peer->last > peer->widest) peer->widest = at - peer->last;
        peer->last = at;
        if (++peer->sent < tokens) {
            push(&going, peer, due.at + gap_ns);
            continue;
        }
        put(peer, tail, tail_size);
        if (truths_size < DONE_MOST) {
            struct truth *truth = &truths[truths_size++];
            memcpy(truth->id, peer->id, ID);
            truth->first = peer->first; truth->last = peer->last;
            truth->widest = peer->widest; truth->sent = peer->sent;
        }
    }
}

static void on_signal(int signal) { (void)signal; ending = 1; }

static void tell(const char *path) {
    FILE *file = fopen(path, "w");
    for (size_t i = 0; file && i < truths_size; i++)
        fprintf(file, "%s %lld %lld %lld %lld %d\n", truths[i].id, (long long)truths[i].first, (long long)truths[i].last,
            (long long)truths[i].widest, (long long)(truths[i].last - truths[i].first), truths[i].sent);
    if (file) fclose(file);
}

int main(int argc, char **argv) {
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0), queue = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "0"))};
    socklen_t length = sizeof address;
    if (argc > 5) {
        first_ns = atoll(argv[2]) * 1000000; gap_ns = atoll(argv[3]) * 1000000; tokens = atoll(argv[4]);
        starting.all = malloc(LINE * sizeof(struct due));
        going.all = malloc(LINE * sizeof(struct due));
        truths = malloc(DONE_MOST * sizeof *truths);
    }
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
#ifdef TLS
    SSL_CTX *context = NULL;
    if (getenv("TLS_CERT")) {
        context = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(context, getenv("TLS_CERT")) != 1) return 2;
        if (SSL_CTX_use_PrivateKey_file(context, getenv("TLS_KEY"), SSL_FILETYPE_PEM) != 1) return 2;
    }
#endif
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    make_answer();
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(queue, EPOLL_CTL_ADD, listener, &event);
    while (!ending) {
        int number = epoll_wait(queue, ready, 256, 0);
        for (int i = 0; i < number; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                if (fd >= MOST) { close(fd); continue; }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                if (!peers[fd]) peers[fd] = calloc(1, sizeof **peers);
                peers[fd]->held = 0;
                peers[fd]->fd = fd;
                peers[fd]->open = 1;
#ifdef TLS
                if (context) {
                    peers[fd]->tls = SSL_new(context);
                    SSL_set_fd(peers[fd]->tls, fd);
                    SSL_set_accept_state(peers[fd]->tls);
                }
#endif
                event.data.fd = fd;
                epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event);
            } else if (!serve(peers[fd])) {
                peers[fd]->open = 0;
#ifdef TLS
                if (peers[fd]->tls) SSL_free(peers[fd]->tls);
                peers[fd]->tls = NULL;
#endif
                close(fd);
            }
            if (tokens) tick(&starting), tick(&going);
        }
        if (tokens) tick(&starting), tick(&going);
    }
    if (argc > 5) tell(argv[5]);
    return 0;
}
