/* The services that berth calls: a row of the table each. */
#include "core/aws/client.h"

/* Names, versions and targets: each service's API reference, "Making requests" and "Endpoints and quotas". */
const struct aws_service CODEBUILD = {
    .id = "CODEBUILD",
    .signing_name = "codebuild",
    .host_prefix = "codebuild",
    .protocol = AWS_JSON,
    .target_prefix = "CodeBuild_20161006",
    .json_version = "1.1",
};

const struct aws_service EC2 = {
    .id = "EC2",
    .signing_name = "ec2",
    .host_prefix = "ec2",
    .protocol = AWS_EC2,
    .version = "2016-11-15",
};

const struct aws_service ECR = {
    .id = "ECR",
    .signing_name = "ecr",
    .host_prefix = "api.ecr",
    .protocol = AWS_JSON,
    .target_prefix = "AmazonEC2ContainerRegistry_V20150921",
    .json_version = "1.1",
};

const struct aws_service ECS = {
    .id = "ECS",
    .signing_name = "ecs",
    .host_prefix = "ecs",
    .protocol = AWS_JSON,
    .target_prefix = "AmazonEC2ContainerServiceV20141113",
    .json_version = "1.1",
};

const struct aws_service ELBV2 = {
    .id = "ELASTIC_LOAD_BALANCING_V2",
    .signing_name = "elasticloadbalancing",
    .host_prefix = "elasticloadbalancing",
    .protocol = AWS_QUERY,
    .version = "2015-12-01",
};

const struct aws_service IAM = {
    .id = "IAM",
    .signing_name = "iam",
    .host_prefix = "iam",
    .global_host = "iam.amazonaws.com",
    .protocol = AWS_QUERY,
    .version = "2010-05-08",
};

const struct aws_service LOGS = {
    .id = "CLOUDWATCH_LOGS",
    .signing_name = "logs",
    .host_prefix = "logs",
    .protocol = AWS_JSON,
    .target_prefix = "Logs_20140328",
    .json_version = "1.1",
};

const struct aws_service S3 = {
    .id = "S3",
    .signing_name = "s3",
    .host_prefix = "s3",
    .protocol = AWS_REST_XML,
};

const struct aws_service SECRETSMANAGER = {
    .id = "SECRETS_MANAGER",
    .signing_name = "secretsmanager",
    .host_prefix = "secretsmanager",
    .protocol = AWS_JSON,
    .target_prefix = "secretsmanager",
    .json_version = "1.1",
};

const struct aws_service STS = {
    .id = "STS",
    .signing_name = "sts",
    .host_prefix = "sts",
    .protocol = AWS_QUERY,
    .version = "2011-06-15",
};

const struct aws_service *const aws_services[] = {
    &CODEBUILD, &EC2, &ECR, &ECS, &ELBV2, &IAM, &LOGS, &S3, &SECRETSMANAGER, &STS, NULL,
};
