//! Reports as rows: what was noted since the last commit.

use crate::reports;
use crate::venue::Venue;
use crate::wire::name::{EntryKind, Name};
use crate::wire::number::{NumberFormat, write_amount};
use engine_core::message::{Execution, ExecutionKind, Report, ReportBody};
use engine_core::units::{ClientOrderId, SymbolId};
use std::collections::HashMap;
use std::ops::Range;

/// Rows that wait.
#[derive(Default)]
pub struct Batch {
    pub(super) events: Vec<EventRow>,
    pub(super) orders: Vec<OrderRow>,
    /// Where in `orders` an order is: a batch has the newest state of each.
    places: HashMap<(i64, SymbolId, i64), usize>,
    /// The data of all events, one after the other.
    data: Vec<u8>,
}

/// A row of `events`.
pub(super) struct EventRow {
    pub account: i64,
    pub exec_seq: i64,
    pub kind: EntryKind,
    /// Symbol, the client's id, ours.
    pub order: Option<(SymbolId, ClientOrderId, i64)>,
    pub trade_id: Option<i64>,
    pub ts: i64,
    data: Range<usize>,
}

/// A row of `orders`.
pub(super) struct OrderRow {
    pub account: i64,
    pub symbol: SymbolId,
    pub exchange_order_id: i64,
    pub order_id: ClientOrderId,
    pub side: &'static str,
    pub status: &'static str,
    pub is_open: bool,
    pub price: Option<String>,
    pub quantity: String,
    pub cum_quantity: String,
    pub cum_quote: String,
    pub leaves_quantity: String,
    /// The first entry about it that this batch has, and its time.
    pub created_seq: i64,
    pub created_ts: i64,
    pub exec_seq: i64,
    pub ts: i64,
}

impl Batch {
    /// Takes note of a report, if it is an entry of an account's history.
    pub fn note(&mut self, venue: &Venue, report: &Report) {
        let begin = self.data.len();
        let Some(kind) = reports::write_data(&mut self.data, venue, report) else { return };
        let exec_seq = report.body.exec_sequence().expect("entries are numbered");
        let (mut order, mut trade_id) = (None, None);
        if let ReportBody::Execution(execution) = &report.body {
            let view = &execution.order;
            order = Some((view.symbol, view.order_id, integer(view.exchange_order_id)));
            if let ExecutionKind::Trade { trade, .. } = execution.kind {
                trade_id = Some(integer(trade.0));
            }
            self.note_order(venue, report, execution);
        }
        self.events.push(EventRow {
            account: report.account.0.into(),
            exec_seq: integer(exec_seq),
            kind,
            order,
            trade_id,
            ts: integer(report.at.0),
            data: begin..self.data.len(),
        });
    }

    fn note_order(&mut self, venue: &Venue, report: &Report, execution: &Execution) {
        let mut row = order_row(venue, report, execution);
        let key = (row.account, row.symbol, row.exchange_order_id);
        match self.places.get(&key) {
            None => {
                self.places.insert(key, self.orders.len());
                self.orders.push(row);
            }
            Some(place) => {
                let known = &mut self.orders[*place];
                (row.created_seq, row.created_ts) = (known.created_seq, known.created_ts);
                *known = row;
            }
        }
    }

    /// Entries that wait.
    pub fn entries(&self) -> usize {
        self.events.len()
    }

    /// The engine's time of the first of them.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.events.first().map(|event| event.ts.unsigned_abs())
    }

    pub(super) fn data(&self, event: &EventRow) -> &str {
        std::str::from_utf8(&self.data[event.data.clone()]).expect("messages are text")
    }

    /// Forgets all rows, and keeps their memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.orders.clear();
        self.places.clear();
        self.data.clear();
    }
}

fn order_row(venue: &Venue, report: &Report, execution: &Execution) -> OrderRow {
    let view = &execution.order;
    let format = venue.format(view.symbol);
    let said = reports::of_execution(venue, execution, report.at);
    let mut cum_quote = Vec::new();
    write_amount(&mut cum_quote, said.cum_quote, format.quote_decimals);
    let (exec_seq, ts) = (integer(execution.exec_sequence), integer(report.at.0));
    OrderRow {
        account: report.account.0.into(),
        symbol: view.symbol,
        exchange_order_id: integer(view.exchange_order_id),
        order_id: view.order_id,
        side: view.side.text(),
        status: said.status.text(),
        is_open: view.is_live(),
        price: said.price.map(|price| steps(format.price, price.0)),
        quantity: steps(format.quantity, said.quantity.0),
        cum_quantity: steps(format.quantity, said.cum_quantity.0),
        cum_quote: ascii(cum_quote),
        leaves_quantity: steps(format.quantity, said.leaves_quantity.0),
        created_seq: exec_seq,
        created_ts: ts,
        exec_seq,
        ts,
    }
}

fn steps(format: NumberFormat, steps: u64) -> String {
    let mut text = Vec::new();
    format.write(&mut text, steps);
    ascii(text)
}

fn ascii(text: Vec<u8>) -> String {
    String::from_utf8(text).expect("numbers are ASCII")
}

/// SQL's integers have a sign; what we count stays far below.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).expect("no counter of ours gets so far")
}
