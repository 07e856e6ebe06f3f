//! What the engine answered, counted, and its trades with the orders of both sides.

use engine_core::message::*;
use engine_core::units::*;

/// A trade by the recorded ids of its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trade {
    pub buyer: u64,
    pub seller: u64,
    pub quantity: Quantity,
    pub price: Price,
}

/// Filled by reports.
#[derive(Debug, Default)]
pub struct Tally {
    pub orders_acked: u64,
    /// By [`Reject`].
    pub orders_rejected: [u64; Reject::ALL.len()],
    pub cancels_acked: u64,
    /// Cancels of orders that were gone or never placed. Which of the two reasons the client hears can depend on how
    /// far a settlement had come, so they are one count.
    pub cancels_missed: u64,
    /// Why an account was not opened or funded, if that ever happened: nothing after it would mean anything.
    pub refused: Option<Reject>,
    /// By trade id from 1. Two reports make a trade: its buyer's and its seller's.
    trades: Vec<Sides>,
    trade_reports: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sides {
    buyer: Option<u64>,
    seller: Option<u64>,
    quantity: Quantity,
    price: Price,
}

impl Tally {
    pub fn take(&mut self, report: &Report) {
        match &report.body {
            ReportBody::OrderAck { .. } => self.orders_acked += 1,
            ReportBody::OrderReject { reason, .. } => self.orders_rejected[*reason as usize] += 1,
            ReportBody::CancelAck { .. } => self.cancels_acked += 1,
            ReportBody::CancelReject { .. } => self.cancels_missed += 1,
            ReportBody::Refused { reason } => self.refused = Some(*reason),
            ReportBody::Execution(Execution {
                kind: ExecutionKind::Trade { trade, price, quantity, .. },
                order,
                ..
            }) => self.trade(*trade, *price, *quantity, order),
            _ => {}
        }
    }

    fn trade(&mut self, trade: TradeId, price: Price, quantity: Quantity, order: &OrderView) {
        let at = trade.0 as usize - 1;
        if self.trades.len() <= at {
            self.trades.resize(at + 1, Sides::default());
        }
        let sides = &mut self.trades[at];
        (sides.price, sides.quantity) = (price, quantity);
        let id = order.order_id.as_str().parse().ok(); // ids of other recordings need not be numbers
        match order.side {
            Side::Buy => sides.buyer = id,
            Side::Sell => sides.seller = id,
        }
        self.trade_reports += 1;
    }

    /// Requests answered so far; each has exactly one answer.
    pub fn answers(&self) -> u64 {
        self.orders_acked
            + self.orders_rejected.iter().sum::<u64>()
            + self.cancels_acked
            + self.cancels_missed
    }

    /// Reports of trades so far, two for each.
    pub fn trade_reports(&self) -> u64 {
        self.trade_reports
    }

    /// The trades whose both sides were reported, in order.
    pub fn trades(&self) -> Vec<Trade> {
        let whole = |sides: &Sides| {
            Some(Trade {
                buyer: sides.buyer?,
                seller: sides.seller?,
                quantity: sides.quantity,
                price: sides.price,
            })
        };
        self.trades.iter().filter_map(whole).collect()
    }
}
