//! What many wrong passwords cost in memory. A process of its own, for it looks at all of it.

use std::sync::Arc;

use wharf_accounts::{HashPool, PasswordHash};

/// Pages of 4 KiB in MiB, from proc_pid_statm(5)
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages / 256
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_passwords_leaves_no_memory_behind() {
    let before = resident();
    let pool = Arc::new(HashPool::with_limits(2, 64));
    for _ in 0..3 {
        let checks: Vec<_> = (0..64)
            .map(|_| {
                let pool = Arc::clone(&pool);
                tokio::spawn(async move {
                    pool.matches(PasswordHash::of_nobody(), "guess".parse().unwrap())
                        .await
                })
            })
            .collect();
        for check in checks {
            assert!(!check.await.unwrap().unwrap());
        }
    }
    let after = resident();
    assert!(
        after < before + 32,
        "{before} MiB before, {after} MiB after"
    );
}
