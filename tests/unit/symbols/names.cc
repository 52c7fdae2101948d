// SPDX-License-Identifier: MIT
// Functions whose names come from scopes: namespaces, classes, templates, lambdas.
#define MARK(name) __asm__ volatile(".globl " #name "\n" #name ": nop")

namespace outer
{
namespace
{
__attribute__((noinline)) int hidden(int x)
{
	MARK(mark_hidden); // line: hidden .
	return x + 1;
}
}

// No linkage name of C++: the scope is only in the debug information.
extern "C" __attribute__((noinline)) int plain(int x)
{
	MARK(mark_plain); // line: plain .
	return hidden(x) * 3;
}

class box
{
public:
	__attribute__((noinline)) int open(int x) const;

	template <typename T> __attribute__((noinline)) static T twice(T x)
	{
		MARK(mark_twice); // line: twice .
		return x + x;
	}
};

int box::open(int x) const
{
	auto add = [x](int y) __attribute__((always_inline)) {
		MARK(mark_lambda); // line: lambda .
		return x + y;
	};
	return add(plain(x)); // line: open .
}
}

int main(int argc, char **)
{
	outer::box box;

	return box.open(argc) + outer::box::twice<long>(argc);
}
