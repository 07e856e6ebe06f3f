//! What one of each thing costs on this machine.

use serde::Serialize;

/// A run with so many bytes in each send.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SendPoint {
    pub bytes: f64,
    /// Processor time of the server beyond what the same flow costs it for one subscriber.
    pub server_ns: f64,
    /// Processor time of the readers.
    pub reader_ns: f64,
    pub sends: u64,
}

/// Nanoseconds and bytes, each for one. All of it is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Costs {
    pub send_points: Vec<SendPoint>,
    /// A line through the points: a send of `b` bytes takes `send_ns + b * send_ns_per_byte` of the server.
    pub send_ns: f64,
    pub send_ns_per_byte: f64,
    pub frame_bytes: f64,
    /// The whole way of an order or its cancel through the server: reading, matching, answering.
    pub command_ns: f64,
    pub encode_ns: f64,
    /// Of a send: our own code's, by simulation. It is part of `send_ns`.
    pub push_ns: f64,
    /// A plain send(2) of as much as the middle point, from this process, whose readers read: all of it...
    pub loopback_send_ns: f64,
    /// ...and when the kernel only takes the bytes and puts off sending them: what is left is the way through the stack,
    /// the receiver's half included.
    pub loopback_queue_ns: f64,
    pub user_bytes: f64,
    /// Of one end, that is half of what both ends on this machine take.
    pub kernel_bytes: f64,
    /// The server without connections.
    pub base_bytes: f64,
}

impl Costs {
    pub fn send(&self, bytes: f64) -> f64 {
        self.send_ns + bytes * self.send_ns_per_byte
    }

    /// The part of a loopback send that a network card's machine would not do: no less than nothing, no more than this.
    pub fn receiver_share_max(&self) -> f64 {
        if self.loopback_send_ns <= 0.0 {
            return 0.0;
        }
        (1.0 - self.loopback_queue_ns / self.loopback_send_ns).clamp(0.0, 1.0)
    }
}

/// Least squares: what a send costs however small it is, and what each byte adds; neither is below nothing.
pub(super) fn line(points: &[SendPoint]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&SendPoint) -> f64| points.iter().map(of).sum::<f64>() / count.max(1.0);
    let (bytes, ns) = (mean(|point| point.bytes), mean(|point| point.server_ns));
    let spread: f64 = points.iter().map(|point| (point.bytes - bytes).powi(2)).sum();
    let together: f64 = points.iter().map(|point| (point.bytes - bytes) * (point.server_ns - ns)).sum();
    let slope = if spread > 0.0 { (together / spread).max(0.0) } else { 0.0 };
    ((ns - slope * bytes).max(0.0), slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_through_points_that_lie_on_one() {
        let point =
            |bytes: f64| SendPoint { bytes, server_ns: 2000.0 + bytes / 4.0, reader_ns: 0.0, sends: 1 };
        let (send_ns, slope) = line(&[point(150.0), point(3000.0), point(15_000.0)]);
        assert!((send_ns - 2000.0).abs() < 1e-6 && (slope - 0.25).abs() < 1e-9);
    }

    #[test]
    fn noise_makes_no_cost_negative() {
        let point = |bytes, server_ns| SendPoint { bytes, server_ns, reader_ns: 0.0, sends: 1 };
        assert_eq!(line(&[point(100.0, 900.0), point(200.0, 300.0)]), (600.0, 0.0));
        assert_eq!(line(&[point(100.0, 900.0)]), (900.0, 0.0));
        assert_eq!(line(&[point(100.0, 0.0), point(200.0, 900.0)]).0, 0.0);
    }
}
