# SPDX-License-Identifier: MIT
"""sqlite3: fill a table, index it, and query it, with a function in Python."""
import sqlite3

import common


def session():
    db = sqlite3.connect(":memory:")
    db.create_function("weight", 1, lambda x: x % 7)
    db.execute("create table t (id integer primary key, name text, value real)")
    db.executemany("insert into t values (?, ?, ?)",
                   ((i, "name %d" % (i * 7919 % 10007), i / 3) for i in range(30_000)))
    db.execute("create index by_name on t (name)")
    db.execute("select count(*), sum(weight(id)), avg(value) from t where name > 'name 5'").fetchall()
    db.execute("select substr(name, 1, 6), count(*) from t group by substr(name, 1, 6) order by 2").fetchall()
    db.close()


def work(repeats):
    for _ in range(repeats):
        session()
        common.mark()


if __name__ == "__main__":
    common.run(work, 35, __doc__)
