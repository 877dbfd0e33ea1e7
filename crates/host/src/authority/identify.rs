pub(crate) struct Identified {
    pub(crate) caller: super::caller::Caller,
    pub(crate) hold: Option<super::endings::Hold>,
    pub(crate) set_cookies: Vec<http::HeaderValue>,
}
impl super::Authority {
    pub(crate) async fn identify(
        &self,
        _: &http::request::Parts,
        _: &crate::service::Inbound,
    ) -> Result<Identified, latchkey_store::StoreError> {
        unimplemented!()
    }
}
