use super::*;
use crate::{
    model::UpstreamSettings,
    protocol::request::ServerRequest,
    upstream::{CallClock, MidCallRequest},
};

#[tokio::test]
async fn that_nobody_answers_a_question_is_no_failure_of_the_upstream() {
    let reached = Place::Http { url: "https://a.example/".to_owned(), headers: std::collections::BTreeMap::new() };
    let (tenant, name) = (crate::model::TenantId::local(), crate::model::UpstreamName::parse("up").unwrap());
    let limits = UpstreamLimits { call_timeout: Duration::from_millis(5), ..UpstreamLimits::default() };
    let link = Link::new(
        Target { tenant, name, generation: 1, place: reached, limits: UpstreamSettings::default() },
        Outbound::default(),
        limits,
        Levels::default(),
    );
    let pace = Arc::<CallClock>::default();
    let never = || {
        let call = std::future::pending::<Result<(), Failure>>();
        link.heard_out(call, &pace, Duration::from_millis(20))
    };
    let (mut question, _replied) = MidCallRequest::new(ServerRequest::Roots, None, &pace);
    question.begin();
    for _ in 0..10 {
        assert!(matches!(never().await.unwrap_err().kind, FailureKind::TimedOut));
    }
    assert!(!link.gate.is_resting());
    drop(question);
    for _ in 0..10 {
        assert!(matches!(never().await.unwrap_err().kind, FailureKind::TimedOut));
    }
    assert!(link.gate.is_resting());
}
