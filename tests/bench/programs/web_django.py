# SPDX-License-Identifier: MIT
"""A Django application under load: routing, middleware, forms, templates and the ORM on sqlite."""
import sys

import django
from django.conf import settings

import common

TEMPLATE = """{% load humanize %}<html><body><h1>{{ title|upper }}</h1><table>
{% for book in books %}<tr class="{% cycle 'odd' 'even' %}"><td>{{ book.title }}</td>
<td>{{ book.author.name|default:"-" }}</td><td>{{ book.price|floatformat:2 }}</td>
<td>{{ book.pages|intcomma }}</td></tr>{% empty %}<tr><td>none</td></tr>{% endfor %}
</table></body></html>"""

settings.configure(
    SECRET_KEY="benchmark", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    MIDDLEWARE=["django.middleware." + name for name in (
        "security.SecurityMiddleware", "common.CommonMiddleware", "csrf.CsrfViewMiddleware",
        "clickjacking.XFrameOptionsMiddleware")],
    INSTALLED_APPS=["django.contrib.humanize"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"books.html": TEMPLATE})]}}])
django.setup()

from django import forms  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


class Author(models.Model):
    name = models.CharField(max_length=80)

    class Meta:
        app_label = "shop"


class Book(models.Model):
    title = models.CharField(max_length=80)
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    price = models.FloatField()
    pages = models.IntegerField()

    class Meta:
        app_label = "shop"


class Search(forms.Form):
    least = forms.FloatField(min_value=0)
    author = forms.CharField(max_length=80, required=False)


def list_books(request):
    books = Book.objects.select_related("author").filter(price__gt=20).order_by("title")[:40]
    return render(request, "books.html", {"title": "books", "books": books})


def search_books(request):
    form = Search(request.GET)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    found = Book.objects.filter(price__gte=form.cleaned_data["least"]).values("title", "price")[:30]
    return JsonResponse({"books": list(found)})


urlpatterns = [path("books/", list_books), path("search/", search_books)]


def fill():
    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
    authors = [Author.objects.create(name="author %d" % i) for i in range(20)]
    Book.objects.bulk_create(Book(title="book %d" % i, author=authors[i % 20], price=i % 97, pages=i * 13 % 2000)
                             for i in range(400))


def work(repeats):
    client = Client()
    for i in range(repeats):
        pages = client.get("/books/"), client.get("/search/", {"least": i % 90}), client.get("/search/", {"least": "x"})
        if [page.status_code for page in pages] != [200, 200, 400]:
            sys.exit("the application is broken: %s" % pages[0].content[:200])
        common.mark()


if __name__ == "__main__":
    fill()
    common.run(work, 350, __doc__)
