/* What AWS says about a failure, in each protocol's shape, and what a person is told. */
#include "core/aws/client.h"
#include "core/aws/s3.h"
#include "tests/unit/aws_fixture.h"

#define QUERY_ERROR(code, message)                                                                                     \
    "<ErrorResponse xmlns=\"http://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>" code          \
    "</Code><Message>" message "</Message></Error><RequestId>r-xml</RequestId></ErrorResponse>"

static void answer(struct aws_fixture *f, int status, const char *headers, const char *body)
{
    fake_expect(f->fake, "POST", NULL, NULL);
    fake_reply(f->fake, status, headers, body);
}

/* One row a shape in which AWS, or something before it, says no. */
static const struct {
    const struct aws_service *service;
    int status;
    const char *headers;
    const char *body;
    enum err_code code;
    const char *detail;
} shapes[] = {
    { &ECS, 400, NULL, "{\"__type\":\"ClusterNotFoundException\",\"message\":\"words\"}", ERR_NOT_FOUND,
      "ClusterNotFoundException" },
    { &ECS, 400, NULL, "{\"__type\":\"com.amazonaws.ecs#ServiceNotFoundException\",\"Message\":\"words\"}",
      ERR_NOT_FOUND, "ServiceNotFoundException" },
    { &LOGS, 400, "x-amzn-errortype: ResourceNotFoundException:http://internal.amazon.com/coral/",
      "{\"message\":\"words\"}", ERR_NOT_FOUND, "ResourceNotFoundException" },
    { &LOGS, 400, "x-amzn-query-error: LimitExceededException;Sender", "{\"message\":\"words\"}", ERR_QUOTA,
      "LimitExceededException" },
    { &LOGS, 400, NULL, "{\"code\":\"OperationAbortedException\",\"message\":\"words\"}", ERR_CONFLICT,
      "OperationAbortedException" },
    { &IAM, 404, NULL, QUERY_ERROR("NoSuchEntity", "words"), ERR_NOT_FOUND, "NoSuchEntity" },
    { &ELBV2, 400, NULL, QUERY_ERROR("PriorityInUse", "words"), ERR_CONFLICT, "PriorityInUse" },
    { &EC2, 400, NULL,
      "<Response><Errors><Error><Code>InvalidSubnetID.NotFound</Code><Message>words</Message></Error></"
      "Errors><RequestID>r-xml</RequestID></Response>",
      ERR_NOT_FOUND, "InvalidSubnetID.NotFound" },
    { &ECS, 404, NULL, "", ERR_NOT_FOUND, "HTTP 404" },
    { &ECS, 403, NULL, "<html>Forbidden</html>", ERR_DENIED, "HTTP 403" },
    { &IAM, 400, NULL, "<html><p>unclosed", ERR_INVALID, "HTTP 400" },
    { &IAM, 413, NULL, "{\"not\":\"xml\"}", ERR_INVALID, "HTTP 413" },
    { &ECS, 400, NULL, "[\"no object\"]", ERR_INVALID, "HTTP 400" },
    { &ECS, 400, NULL, "{\"__type\":{\"no\":\"text\"}}", ERR_INVALID, "HTTP 400" },
    { &ECS, 307, "location: http://elsewhere/", "", ERR_INVALID, "HTTP 307" },
};

static void every_shape_of_an_error_is_understood(void **state)
{
    struct aws_fixture *f = *state;

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        answer(f, shapes[i].status, shapes[i].headers, shapes[i].body);
        assert_int_equal(aws_fixture_call(f, shapes[i].service, "Operation"), shapes[i].code);
        assert_string_equal(f->e.detail, shapes[i].detail);
        assert_non_null(strstr(f->e.message, "Operation: "));
        assert_int_equal(strstr(shapes[i].body, "words") != NULL, strstr(f->e.message, "words") != NULL);
    }
    fake_done(f->fake);
}

static void pages_of_proxies_and_empty_replies_are_transient(void **state)
{
    static const char *const bodies[] = { "", "<html><body>502 Bad Gateway", "upstream connect error" };
    struct aws_fixture *f = *state;
    const struct aws_service *services[] = { &ECS, &IAM, &EC2 };

    for (size_t i = 0; i < 3; i++) {
        for (int n = 0; n < AWS_TRIES_MAX; n++)
            answer(f, 502, NULL, bodies[i]);
        assert_int_equal(aws_fixture_call(f, services[i], "Operation"), ERR_TRANSIENT);
        assert_string_equal(f->e.detail, "HTTP 502");
    }
    fake_done(f->fake);
}

static const struct {
    const char *code;
    int status;
    enum err_code expected;
} codes[] = {
    { "ThrottlingException", 400, ERR_THROTTLED },
    { "Throttling", 400, ERR_THROTTLED },
    { "EC2ThrottledException", 503, ERR_THROTTLED },
    { "RequestLimitExceeded", 503, ERR_THROTTLED },
    { "TooManyRequestsException", 429, ERR_THROTTLED },
    { "RequestThrottled", 400, ERR_THROTTLED },
    { "SlowDown", 503, ERR_THROTTLED },
    { "", 429, ERR_THROTTLED },
    { "InternalFailure", 500, ERR_TRANSIENT },
    { "InternalError", 500, ERR_TRANSIENT },
    { "InternalServiceError", 500, ERR_TRANSIENT },
    { "ServiceUnavailable", 503, ERR_TRANSIENT },
    { "ServiceUnavailableException", 503, ERR_TRANSIENT },
    { "RequestTimeout", 400, ERR_TRANSIENT },
    { "ServerException", 400, ERR_TRANSIENT },
    { "NeverSeenBefore", 500, ERR_TRANSIENT },
    { "AccessDeniedException", 400, ERR_DENIED },
    { "AccessDenied", 403, ERR_DENIED },
    { "UnauthorizedOperation", 403, ERR_DENIED },
    { "ExpiredTokenException", 400, ERR_DENIED },
    { "InvalidClientTokenId", 403, ERR_DENIED },
    { "UnrecognizedClientException", 400, ERR_DENIED },
    { "InvalidSignatureException", 400, ERR_DENIED },
    { "NeverSeenBefore", 403, ERR_DENIED },
    { "RepositoryNotFoundException", 400, ERR_NOT_FOUND },
    { "TargetGroupNotFound", 400, ERR_NOT_FOUND },
    { "NoSuchBucket", 404, ERR_NOT_FOUND },
    { "NoSuchUpload", 404, ERR_NOT_FOUND },
    { "LimitExceeded", 409, ERR_QUOTA },
    { "LimitExceededException", 400, ERR_QUOTA },
    { "AccountLimitExceededException", 400, ERR_QUOTA },
    { "ServiceQuotaExceededException", 402, ERR_QUOTA },
    { "TooManyTargetGroups", 400, ERR_QUOTA },
    { "TooManyRules", 400, ERR_QUOTA },
    { "TargetGroupAssociationLimit", 400, ERR_QUOTA },
    { "ConflictException", 400, ERR_CONFLICT },
    { "ResourceInUse", 400, ERR_CONFLICT },
    { "ResourceInUseException", 400, ERR_CONFLICT },
    { "EntityAlreadyExists", 409, ERR_CONFLICT },
    { "ResourceAlreadyExistsException", 400, ERR_CONFLICT },
    { "ImageTagAlreadyExistsException", 400, ERR_CONFLICT },
    { "DuplicateTargetGroupName", 400, ERR_CONFLICT },
    { "OperationAborted", 409, ERR_CONFLICT },
    { "ConcurrentModification", 409, ERR_CONFLICT },
    { "DeleteConflict", 409, ERR_CONFLICT },
    { "NeverSeenBefore", 409, ERR_CONFLICT },
    { "ValidationException", 400, ERR_INVALID },
    { "ValidationError", 400, ERR_INVALID },
    { "InvalidParameterException", 400, ERR_INVALID },
    { "ClientException", 400, ERR_INVALID },
    { "MalformedPolicyDocument", 400, ERR_INVALID },
    { "InvalidObjectState", 403, ERR_INVALID },
    { "NeverSeenBefore", 400, ERR_INVALID },
    { "", 301, ERR_INVALID },
};

static void each_code_means_what_the_caller_does_about_it(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        enum err_code got = aws_classify(codes[i].code, codes[i].status);
        if (got != codes[i].expected)
            fail_msg("%s with HTTP %d is %s, not %s", codes[i].code, codes[i].status, err_code_name(got),
                     err_code_name(codes[i].expected));
    }
}

static void a_denial_names_the_action_that_aws_names(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 400, NULL,
           "{\"__type\":\"AccessDeniedException\",\"message\":\"User: arn:aws:iam::123456789012:user/b is not "
           "authorized to perform: "
           "iam:PassRole on resource: arn:aws:iam::123456789012:role/x because no identity-based policy allows the "
           "iam:PassRole action\"}");

    assert_int_equal(aws_fixture_call(f, &ECS, "RegisterTaskDefinition"), ERR_DENIED);

    assert_string_equal(f->e.hint, "Allow iam:PassRole to the identity that berth's AWS credentials belong to.");
}

static void a_denial_without_words_names_the_calls_own_action(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 403, NULL, QUERY_ERROR("AccessDenied", ""));

    assert_int_equal(aws_fixture_call(f, &ELBV2, "CreateRule"), ERR_DENIED);

    assert_non_null(strstr(f->e.hint, "Allow elasticloadbalancing:CreateRule "));
}

static void an_explicit_deny_is_said_to_need_another_remedy(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 400, NULL,
           "{\"__type\":\"AccessDeniedException\",\"message\":\"User: arn:aws:iam::1:user/b is not authorized to "
           "perform: ecs:UpdateService "
           "on resource: x with an explicit deny in a permissions boundary\"}");

    assert_int_equal(aws_fixture_call(f, &ECS, "UpdateService"), ERR_DENIED);

    assert_non_null(strstr(f->e.hint, "explicit Deny"));
    assert_non_null(strstr(f->e.hint, "ecs:UpdateService"));
}

static void a_user_without_permission_is_denied_under_any_code(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 400, NULL,
           "{\"__type\":\"InvalidParameterException\",\"message\":\"User: arn:aws:iam::1:user/b is not authorized to "
           "perform: iam:PassRole on x\"}");

    assert_int_equal(aws_fixture_call(f, &ECS, "CreateService"), ERR_DENIED);
}

static void a_service_whose_role_is_too_young_is_not_our_permission(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 400, NULL,
           "{\"__type\":\"InvalidInputException\",\"message\":\"CodeBuild is not authorized to perform: sts:AssumeRole "
           "on arn:aws:iam::1:role/x\"}");

    assert_int_equal(aws_fixture_call(f, &CODEBUILD, "CreateProject"), ERR_INVALID);
}

static void expired_credentials_say_what_to_renew(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 403, NULL, QUERY_ERROR("ExpiredToken", "The security token included in the request is expired"));

    assert_int_equal(aws_fixture_call(f, &STS, "GetCallerIdentity"), ERR_DENIED);

    assert_non_null(strstr(f->e.hint, "AWS_SESSION_TOKEN"));
}

static void expired_credentials_are_known_in_the_words_of_each_service(void **state)
{
    struct aws_fixture *f = *state;
    static const struct {
        const struct aws_service *service;
        int status;
        const char *body;
        bool expired;
    } cases[] = {
        { &ECS, 400, "{\"__type\":\"ExpiredTokenException\",\"message\":\"words\"}", true },
        { &ELBV2, 403, QUERY_ERROR("ExpiredToken", "words"), true },
        { &EC2, 400, "<Response><Errors><Error><Code>RequestExpired</Code></Error></Errors></Response>", true },
        { &ECS, 400, "{\"__type\":\"AccessDeniedException\",\"message\":\"words\"}", false },
        { &IAM, 403, QUERY_ERROR("InvalidClientTokenId", "words"), false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer(f, cases[i].status, NULL, cases[i].body);
        assert_int_equal(aws_fixture_call(f, cases[i].service, "Operation"), ERR_DENIED);
        assert_int_equal(aws_credentials_expired(&f->e), cases[i].expired);
    }
}

static void a_wrong_clock_is_known_in_the_words_of_each_service(void **state)
{
    struct aws_fixture *f = *state;
    static const struct {
        const struct aws_service *service;
        int status;
        const char *body;
        bool off;
    } cases[] = {
        { &ECS, 400,
          "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: 20261129T062413Z is now earlier "
          "than 20261129T063914Z - 300 s.\"}",
          true },
        { &IAM, 403, QUERY_ERROR("SignatureDoesNotMatch", "Signature not yet current: words"), true },
        { &ELBV2, 403, QUERY_ERROR("RequestTimeTooSkewed", "words"), true },
        { &ECS, 400, "{\"__type\":\"InvalidSignatureException\",\"message\":\"no match\"}", false },
        { &IAM, 403, QUERY_ERROR("SignatureDoesNotMatch", "The request signature we calculated does not match"),
          false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer(f, cases[i].status, NULL, cases[i].body);
        assert_int_equal(aws_fixture_call(f, cases[i].service, "Operation"), ERR_DENIED);
        assert_int_equal(aws_clock_is_off(&f->e), cases[i].off);
        assert_int_equal(strstr(f->e.hint, "clock") != NULL, cases[i].off);
    }
}

static void the_message_names_service_operation_words_status_and_request(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 404, NULL, QUERY_ERROR("NoSuchEntity", "The role is gone."));

    aws_fixture_call(f, &IAM, "GetRole");

    assert_string_equal(f->e.message, "iam GetRole: NoSuchEntity: The role is gone. (HTTP 404, request r-xml)");
}

static void a_refused_signature_never_shows_the_canonical_request(void **state)
{
    struct aws_fixture *f = *state;
    answer(f, 403, NULL,
           QUERY_ERROR("SignatureDoesNotMatch",
                       "The request signature we calculated does not match.\n\nThe Canonical String for this request "
                       "should have been\n'POST\n/\n\nx-amz-security-token:" AWS_FIXTURE_TOKEN "'"));

    assert_int_equal(aws_fixture_call(f, &STS, "GetCallerIdentity"), ERR_DENIED);

    assert_null(strstr(f->e.message, AWS_FIXTURE_TOKEN));
    assert_non_null(strstr(f->e.message, "does not match."));
}

static void endless_words_are_cut_and_the_request_id_stays(void **state)
{
    struct aws_fixture *f = *state;
    char *words = arena_alloc(f->mem, 5001);
    memset(words, 'w', 5000);
    words[10] = '\n';
    AUTO_JSON json_object *body = json_build("{s:s, s:s}", "__type", "ValidationException", "message", words);
    answer(f, 400, "x-amzn-requestid: r-1", json_to_text(body, f->mem));

    aws_fixture_call(f, &ECS, "X");

    assert_non_null(strstr(f->e.message, "request r-1)"));
    assert_null(strchr(f->e.message, '\n'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AWS_TEST(every_shape_of_an_error_is_understood),
        AWS_TEST(pages_of_proxies_and_empty_replies_are_transient),
        AWS_TEST(each_code_means_what_the_caller_does_about_it),
        AWS_TEST(a_denial_names_the_action_that_aws_names),
        AWS_TEST(a_denial_without_words_names_the_calls_own_action),
        AWS_TEST(an_explicit_deny_is_said_to_need_another_remedy),
        AWS_TEST(a_user_without_permission_is_denied_under_any_code),
        AWS_TEST(a_service_whose_role_is_too_young_is_not_our_permission),
        AWS_TEST(expired_credentials_say_what_to_renew),
        AWS_TEST(expired_credentials_are_known_in_the_words_of_each_service),
        AWS_TEST(a_wrong_clock_is_known_in_the_words_of_each_service),
        AWS_TEST(the_message_names_service_operation_words_status_and_request),
        AWS_TEST(a_refused_signature_never_shows_the_canonical_request),
        AWS_TEST(endless_words_are_cut_and_the_request_id_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
