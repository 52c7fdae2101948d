# SPDX-License-Identifier: MIT
"""A threaded crawler over loopback: four workers fetch, parse and follow links of a local web site."""
import http.client
import http.server
import html.parser
import queue
import threading

import common

WORKERS, PAGES = 4, 25


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        number = int(self.path.rsplit("/", 1)[1])
        links = "".join('<li><a href="/page/%d">page</a> text %d</li>' % ((number * 7 + i) % PAGES, i)
                        for i in range(60))
        body = ("<html><body><h1>%d</h1><ul>%s</ul></body></html>" % (number, links)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.found.append(dict(attributes)["href"])


class Crawl:
    """Every page once, from page 0."""

    def __init__(self, port):
        self.port, self.waiting, self.lock = port, queue.Queue(), threading.Lock()
        self.seen = {"/page/%d" % i for i in range(WORKERS)}
        for path in self.seen:
            self.waiting.put(path)

    def worker(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        while True:
            path = self.waiting.get()
            if path is None:
                break
            connection.request("GET", path)
            links = Links()
            links.feed(connection.getresponse().read().decode())
            with self.lock:
                new = [link for link in links.found if link not in self.seen]
                self.seen.update(new)
            for link in new:
                self.waiting.put(link)
            self.waiting.task_done()
        connection.close()

    def run(self):
        threads = [threading.Thread(target=self.worker) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        self.waiting.join()
        for _ in threads:
            self.waiting.put(None)
        for thread in threads:
            thread.join()


def work(repeats):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    common.begin()
    for _ in range(repeats):
        Crawl(server.server_port).run()
        common.mark()
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    common.run(work, 84, __doc__)
