//! The same 10,000 lines, read by this crate and by the procfs crate.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "criterion makes a public function")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use libcontainer_mount::{MountTable, parse_mountinfo};
use procfs::FromBufRead;
use procfs::process::MountInfos;

/// Lines such as a host with many containers has them; each hundredth with an escape.
fn table() -> String {
    let mut text = String::new();
    for id in 30..10_030 {
        let space = if id % 100 == 0 { "\\040" } else { "" };
        let _ = writeln!(
            text,
            "{id} 29 0:{id} / /var/lib/containers/{id}/merged{space} rw,nosuid,relatime shared:{id} - overlay \
             overlay rw,lowerdir=/l/{id},upperdir=/u/{id},workdir=/w/{id}"
        );
    }
    text
}

fn compare(criterion: &mut Criterion) {
    let text = table();
    let mut group = criterion.benchmark_group("mountinfo of 10,000 lines");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(30);
    group.bench_function("libcontainer-mount, one by one", |bench| {
        bench.iter(|| parse_mountinfo(black_box(text.as_bytes())).filter(Result::is_ok).count());
    });
    group.bench_function("libcontainer-mount, whole table", |bench| {
        bench.iter(|| MountTable::parse(black_box(text.as_bytes())).map(|table| table.entries().len()));
    });
    group.bench_function("procfs", |bench| {
        bench.iter(|| MountInfos::from_buf_read(black_box(text.as_bytes())).map(|infos| infos.0.len()));
    });
    group.finish();
}

criterion_group!(benches, compare);
criterion_main!(benches);
