// SPDX-License-Identifier: MIT
// A method of a trait in a module, and what is inlined into it.
#![allow(named_asm_labels)]
use std::arch::asm;

mod shapes {
    use super::asm;

    pub struct Square(pub u64);

    pub trait Area {
        fn area(&self) -> u64;
    }

    #[inline(always)]
    fn multiply(a: u64, b: u64) -> u64 {
        unsafe { asm!(".globl mark_multiply", "mark_multiply: nop") }; // line: multiply .
        a * b
    }

    impl Area for Square {
        #[inline(never)]
        fn area(&self) -> u64 {
            multiply(self.0, self.0 + 1) // line: area .
        }
    }
}

fn main() {
    use shapes::Area;
    let square = shapes::Square(std::env::args().count() as u64);
    std::process::exit(square.area() as i32);
}
