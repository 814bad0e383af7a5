/* The parts of libuv that the release leaves out. Of libuv the daemon has timers, polled descriptors, signals
 * and idle handles; but libuv's core names the close of every kind of handle, and by that name the linker
 * would take in files, sockets, streams, watched folders and threads: an eighth of the program. What stands
 * here in their place ends the program, for no handle of those kinds exists. Whoever comes to use one gets
 * its true part beside these, and the link fails over two definitions: take its lines from here then. Only
 * uv_loop_fork, uv_spawn with a pipe and uv_ip4_name with its sisters would link, and end here. */
#include <stddef.h>
#include <stdlib.h>

#define STAND_IN __attribute__((visibility("hidden")))
#define LEFT_OUT(name) STAND_IN void name(void) __attribute__((alias("left_out")))

void left_out(void);
STAND_IN void left_out(void)
{
    abort();
}

LEFT_OUT(uv__fs_event_close);
LEFT_OUT(uv__fs_poll_close);
LEFT_OUT(uv__inotify_fork);
LEFT_OUT(uv__pipe_close);
LEFT_OUT(uv__stream_close);
LEFT_OUT(uv__stream_destroy);
LEFT_OUT(uv__stream_open);
LEFT_OUT(uv__tcp_bind);
LEFT_OUT(uv__tcp_close);
LEFT_OUT(uv__tcp_connect);
LEFT_OUT(uv__udp_bind);
LEFT_OUT(uv__udp_close);
LEFT_OUT(uv__udp_connect);
LEFT_OUT(uv__udp_disconnect);
LEFT_OUT(uv__udp_finish_close);
LEFT_OUT(uv__udp_init_ex);
LEFT_OUT(uv__udp_recv_start);
LEFT_OUT(uv__udp_recv_stop);
LEFT_OUT(uv__udp_send);
LEFT_OUT(uv__udp_try_send);
LEFT_OUT(uv__work_done);
LEFT_OUT(uv_inet_ntop);
LEFT_OUT(uv_inet_pton);
LEFT_OUT(uv_udp_getpeername);

/* These are called at the end of every run: no thread to join, no title to free. */
STAND_IN void uv__threadpool_cleanup(void)
{
}

STAND_IN void uv__process_title_cleanup(void)
{
}
