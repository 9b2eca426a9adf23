//! `/_bojagi/metrics`: what the data plane is doing, as Prometheus reads it (text format 0.0.4).

use std::fmt::Write as _;

use bojagi_engine::Statistics;

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures as text.
pub fn render(statistics: &Statistics) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let environments = [
        ("{state=\"initialising\"}", statistics.initialising as u64),
        ("{state=\"idle\"}", statistics.idle as u64),
        ("{state=\"busy\"}", statistics.busy as u64),
    ];
    metric("bojagi_environments", "gauge", "Execution environments that are alive.", &environments);
    metric(
        "bojagi_environments_memory_bytes",
        "gauge",
        "Sum of MemorySize of the execution environments that are alive.",
        &[("", statistics.memory_bytes)],
    );
    let invocations = [("{start=\"warm\"}", statistics.warm), ("{start=\"cold\"}", statistics.cold)];
    metric("bojagi_invocations_total", "counter", "Invocations by how their environment was found.", &invocations);
    metric(
        "bojagi_invocations_throttled_total",
        "counter",
        "Invocations refused for want of concurrency or memory.",
        &[("", statistics.throttled)],
    );
    metric(
        "bojagi_environments_evicted_total",
        "counter",
        "Idle execution environments ended to make room for others.",
        &[("", statistics.evicted)],
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_there_with_its_type() {
        let text =
            render(&Statistics { idle: 3, warm: 1_000, cold: 7, memory_bytes: 402_653_184, ..Statistics::default() });
        for line in [
            "# TYPE bojagi_environments gauge",
            "bojagi_environments{state=\"idle\"} 3",
            "bojagi_environments_memory_bytes 402653184",
            "bojagi_invocations_total{start=\"warm\"} 1000",
            "bojagi_invocations_total{start=\"cold\"} 7",
            "bojagi_invocations_throttled_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
