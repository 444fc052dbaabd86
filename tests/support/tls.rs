//! The stand-ins over TLS, with a certificate that is made for the run.

use std::{path::PathBuf, sync::Arc};

use hyper_util::rt::TokioIo;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use super::{Aws, server};

/// Serves `aws` over TLS at a free port; returns its URL and the path of a PEM file with its root certificate.
pub async fn serve(aws: &Aws) -> (String, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let path = std::env::temp_dir().join(format!("stand-ins-{:016x}.pem", fastrand::u64(..)));
    std::fs::write(&path, made.cert.pem()).unwrap();
    let aws = aws.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            aws.count_connection();
            let (acceptor, aws) = (acceptor.clone(), aws.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = move |seen| {
                    let aws = aws.clone();
                    async move { aws.answer(seen).await }
                };
                server::connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (url, path)
}
