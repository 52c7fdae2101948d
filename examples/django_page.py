# SPDX-License-Identifier: MIT
"""A Django page that is slow twice over, and the same page without either mistake.

    pillion record -o slow.pillion -- python3 examples/django_page.py slow
    pillion annotate examples/django_page.py slow.pillion
    pillion record -o fast.pillion -- python3 examples/django_page.py fast
    pillion diff --absolute slow.pillion fast.pillion

A whole site in one file (SQLite in memory, served over loopback to a client in a thread). Its
page lists the books of a shop. `Book.label` asks the database for the author of each single
book: one query for the list, and one more for each row. And the template calls `Shelf.total`
in its loop, so that each row adds up all of them. Neither shows in the view, which is two
lines. Needs Django 4 or later; runs for about two seconds, and for less than one.
"""
import http.client
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models
from django.shortcuts import render
from django.urls import path

BOOKS, PAGES = 1000, 5
TEMPLATE = """<ul>
{% for book in books %}<li>{{ book.label }}: {{ book.price }} ({% widthratio book.price total 1000 %} per mille)
{% endfor %}</ul>"""

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"books.html": TEMPLATE})]}}])
django.setup()


class Author(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "shop"


class Book(models.Model):
    title = models.TextField()
    price = models.IntegerField()
    author = models.ForeignKey(Author, models.CASCADE)

    class Meta:
        app_label = "shop"

    def label(self):
        return "%s, by %s" % (self.title, self.author.name)


class Shelf:
    def __init__(self, books):
        self.books = books

    def total(self):
        return sum(book.price for book in self.books)


def slow(request):
    """Nothing to see: the queries and the sums are made while the template is rendered."""
    books = Book.objects.order_by("title")
    return render(request, "books.html", {"books": books, "total": Shelf(books).total})


def fast(request):
    """The authors come with the books, in one query; the sum is made once."""
    books = Book.objects.order_by("title").select_related("author")
    return render(request, "books.html", {"books": books, "total": Shelf(books).total()})


urlpatterns = [path("slow", slow), path("fast", fast)]


def fill():
    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
    Author.objects.bulk_create(Author(name="author %d" % i) for i in range(BOOKS))
    Book.objects.bulk_create(Book(title="book %d" % i, price=5 + i % 90, author_id=i + 1) for i in range(BOOKS))


class Quiet(WSGIRequestHandler):
    def log_message(self, *words):
        """A line for each request helps nobody here."""


def ask(port, page):
    for _ in range(PAGES):
        client = http.client.HTTPConnection("127.0.0.1", port)
        client.request("GET", "/" + page)
        answer = client.getresponse()
        assert answer.status == 200 and answer.read().count(b"<li>") == BOOKS
        client.close()


def main(page):
    fill()
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        client = threading.Thread(target=ask, args=(server.server_port, page))
        client.start()
        for _ in range(PAGES):
            server.handle_request()
        client.join()
    print("%d pages of %d books" % (PAGES, BOOKS))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "slow")
