//! The parsers of `/proc` files accept or refuse any content, and the program's name never shifts
//! the fields after it.
#![no_main]

// The parsers are private to the crate, in a file that needs nothing else of it.
#[allow(dead_code, reason = "its readers are elsewhere")]
#[path = "../../crates/barograph/src/process/stat.rs"]
mod stat;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, [u32; 22])| {
    let (text, numbers) = input;
    let _ = (stat::stat(text), stat::boot_time(text), stat::max_fds(text));
    // A line as the kernel writes it, for a program with any name.
    let fields: Vec<_> = numbers.iter().map(u32::to_string).collect();
    let read = stat::stat(&format!("1 ({text}) S {}\n", fields.join(" ")));
    let read = read.expect("all fields are there");
    // The third field is the state; `numbers` begins with the fourth.
    let field = |number: usize| u64::from(numbers[number - 4]);
    assert_eq!(read.cpu_ticks, field(14) + field(15));
    assert_eq!((read.threads, read.start_ticks), (field(20), field(22)));
    assert_eq!(read.virtual_bytes, field(23));
    assert_eq!(read.resident_pages, field(24));
});
