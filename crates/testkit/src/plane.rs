//! The control plane as the gateway sees it, in the hands of somebody who changes what it says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keysherd_base::Fault;
use keysherd_control::{GatewayIdentity, Gateways};
use keysherd_plane::{BoxFuture, Caller, Plane, PlaneHandle, Reply, Request};

use tokio::sync::watch;

use crate::links::beside;
use crate::rig::GROUP;
use crate::steps::Steps;

/// Changes replies, given the request they answer.
pub type Tamper = Box<dyn FnMut(&Request, &mut Reply) + Send>;

/// An honest control plane, and what is done to its replies.
pub struct TamperedPlane {
    honest: PlaneHandle,
    tamper: Mutex<Option<Tamper>>,
    asked: Mutex<Vec<&'static str>>,
    cut: AtomicBool,
    lost: Mutex<Option<&'static str>>,
    held: watch::Sender<Option<&'static str>>,
    steps: Arc<Steps>,
}

impl TamperedPlane {
    /// Changes nothing so far.
    pub(crate) fn new(honest: PlaneHandle, steps: Arc<Steps>) -> Self {
        Self {
            honest,
            tamper: Mutex::default(),
            asked: Mutex::default(),
            cut: AtomicBool::new(false),
            lost: Mutex::default(),
            held: watch::Sender::new(None),
            steps,
        }
    }

    /// From now on every reply passes through `tamper`.
    pub fn tamper(&self, tamper: impl FnMut(&Request, &mut Reply) + Send + 'static) {
        *self.tamper.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tamper));
    }

    /// From now on nothing is changed.
    pub fn be_honest(&self) {
        *self.tamper.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// From now on control is not reached, or reached again.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    /// From now on messages of this name do not reach control.
    pub fn lose(&self, name: Option<&'static str>) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// From now on control is slow to answer messages of this name: not before this is taken back.
    pub fn hold(&self, name: Option<&'static str>) {
        self.held.send_replace(name);
    }

    /// The names of the messages so far; forgets them.
    pub fn take_asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Plane for TamperedPlane {
    fn call(&self, caller: Caller, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.name());
            self.steps.pass().await;
            let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            if self.cut.load(Ordering::SeqCst) || lost == Some(request.name()) {
                return Err(Fault::not_reached("the control plane is not reached"));
            }
            let name = request.name();
            drop(self.held.subscribe().wait_for(|held| *held != Some(name)).await);
            let (honest, asked) = (self.honest.clone(), request.clone());
            let mut reply = beside(async move { honest.call(caller, request).await }).await?;
            if let Some(tamper) = &mut *self.tamper.lock().unwrap_or_else(PoisonError::into_inner) {
                tamper(&asked, &mut reply);
            }
            self.steps.pass().await;
            Ok(reply)
        })
    }
}

/// Every gateway is in the cluster of the bundle.
pub(crate) struct OneGroup;

impl Gateways for OneGroup {
    fn bundle_version(&self) -> u64 {
        1
    }

    fn group_of(&self, _: &GatewayIdentity) -> Option<String> {
        Some(GROUP.to_owned())
    }
}
