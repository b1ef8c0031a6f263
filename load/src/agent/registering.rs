//! An agent's registration, and the connection that it is made on.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sip::{ConnectionId, Method, OutgoingRequest, Response, StatusCode, Uri};
use tokio::time::sleep;

use super::{Agent, BACK_OFF, Registered, Registration};
use crate::cause;
use crate::link::Link;

impl Agent {
    /// REGISTER, on the connection there is.
    pub(super) fn register(&mut self, now: Instant, answer: Option<Registered>) {
        self.refresh = None;
        let (Some(address), Ok(uri)) = (self.address(), Uri::parse(&format!("sip:{}", self.company.domain))) else {
            if let Some(answer) = answer {
                drop(answer.send(Err("no SIP address".to_owned())));
            }
            return;
        };
        let headers = vec![
            ("Contact".to_owned(), format!("<{}>", self.contact())),
            ("Expires".to_owned(), self.company.expires.to_string()),
        ];
        // A challenge takes one more number of the series.
        self.series.1 += 2;
        let request = OutgoingRequest {
            flow: self.flow(),
            method: Method::Register,
            uri,
            from: address.clone(),
            to: address,
            series: Some(self.series.clone()),
            headers,
            body: None,
            credentials: Some(self.user.credentials.clone()),
        };
        let id = self.endpoint.send_request(now, request);
        self.registering.insert(id, (now, answer));
    }

    /// What became of a REGISTER.
    pub(super) fn registered(
        &mut self,
        now: Instant,
        (begun, answer): (Instant, Option<Registered>),
        response: &Response,
    ) {
        let result = if response.status == StatusCode::OK {
            // As browsers do: some time before it runs out.
            let expires = Duration::from_secs(self.company.expires.into());
            self.refresh = Some(now + expires.mul_f64(0.9));
            Ok(Registration { took: now - begun, opened: self.opened.take() })
        } else {
            Err(cause::of(response))
        };
        if let Some(answer) = answer {
            drop(answer.send(result));
        }
    }

    /// Loses the connection on purpose, opens another one and registers there.
    pub(super) async fn reconnect(&mut self, answer: Registered) {
        self.endpoint.handle_flow_closed(Instant::now(), ConnectionId(self.connection));
        match self.reopen().await {
            Ok(()) => self.register(Instant::now(), Some(answer)),
            Err(error) => drop(answer.send(Err(format!("not connected: {error}")))),
        }
    }

    /// The connection is gone: another one, and a REGISTER there, as a browser's page does it.
    pub(super) async fn come_back(&mut self) {
        if !matches!(self.link, Link::Closed) {
            self.company.faults.connections_lost.fetch_add(1, Ordering::Relaxed);
        }
        self.endpoint.handle_flow_closed(Instant::now(), ConnectionId(self.connection));
        sleep(BACK_OFF).await;
        if self.reopen().await.is_ok() {
            self.register(Instant::now(), None);
        }
    }

    async fn reopen(&mut self) -> anyhow::Result<()> {
        self.connection += 1;
        // The old one is closed first, as it would be.
        self.link = Link::Closed;
        let (link, opened) = Link::open(&self.server).await?;
        (self.link, self.opened) = (link, Some(opened));
        Ok(())
    }
}
