// SPDX-License-Identifier: MIT
//
// What makes the picture of svg.c answer: a click zooms into a call, the text at the top goes
// back, Ctrl+F or the other text looks for names. Without it everything is there, in titles.
(function () {
	var svg = document.documentElement, calls = svg.querySelectorAll('g.c');
	var width = +svg.getAttribute('data-width'), total = +svg.getAttribute('data-total');
	var found = document.getElementById('found');

	function number(g, name) { return +g.getAttribute('data-' + name); }

	// How much of a name a box has room for: its letters are all of one width.
	function fit(g, w) {
		var text = g.lastElementChild, name = g.getAttribute('data-name');
		var room = Math.floor((w - 6) / 7.2), points = Array.from(name);

		text.textContent = room < 3 ? '' : points.length <= room ? name :
			points.slice(0, room - 1).join('') + '…';
	}

	function place(g, x, w, shown) {
		g.style.display = shown ? '' : 'none';
		if (!shown)
			return;
		g.children[1].setAttribute('x', x);
		g.children[1].setAttribute('width', w);
		g.lastElementChild.setAttribute('x', x + 3);
		fit(g, w);
	}

	// Calls above the chosen one are as wide as the picture, those beside it are gone.
	function zoom(from, weight) {
		calls.forEach(function (g) {
			var at = number(g, 'from'), w = number(g, 'weight');
			var inside = at >= from && at + w <= from + weight;
			var around = at <= from && at + w >= from + weight;

			if (around)
				place(g, 0, width, true);
			else
				place(g, (at - from) / weight * width, w / weight * width, inside);
		});
		document.getElementById('back').style.display = weight < total ? '' : 'none';
	}

	// Nested matches count once, by the outermost: calls come with callers first.
	function search(word) {
		var sum = 0, end = 0, pattern = null;

		try {
			pattern = word ? new RegExp(word, 'i') : null;
		} catch (error) {
			found.textContent = 'not a regular expression: ' + word;
			return;
		}
		calls.forEach(function (g) {
			var match = pattern && pattern.test(g.getAttribute('data-name'));
			var at = number(g, 'from'), w = number(g, 'weight');

			g.classList.toggle('m', !!match);
			if (match && at >= end) {
				sum += w;
				end = at + w;
			}
		});
		found.textContent = pattern ? word + ': ' + (100 * sum / total).toFixed(2) + ' %' : '';
	}

	function ask() {
		var word = prompt('Names to look for (a regular expression), or nothing:', '');

		if (word !== null)
			search(word);
	}

	calls.forEach(function (g) {
		g.addEventListener('click', function () { zoom(number(g, 'from'), number(g, 'weight')); });
	});
	document.getElementById('back').addEventListener('click', function () { zoom(0, total); });
	document.getElementById('search').addEventListener('click', ask);
	document.addEventListener('keydown', function (event) {
		if (event.key === 'f' && (event.ctrlKey || event.metaKey)) {
			event.preventDefault();
			ask();
		} else if (event.key === 'Escape') {
			search('');
			zoom(0, total);
		}
	});
	document.getElementById('search').style.display = '';
	zoom(0, total);
})();
