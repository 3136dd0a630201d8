"""Make what berth stands on, through AWS's own API, as an operator would; write it down as a part of berth.conf.

    .venv/bin/python tests/aws/make_platform.py --endpoint URL --region eu-central-1 --domain apps.example.test --out FILE

Signs with the standard environment's credentials. Safe to run again: what is there by its name or tag is used.
"""

import argparse
import datetime
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "berth"
TAG = {"Key": "berth:platform", "Value": NAME}
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


class Platform:
    def __init__(self, endpoint, region, domain, session=None):
        # A Session of its own: no files of this machine's user are to decide anything but the credentials.
        self._session = session or boto3.session.Session(region_name=region)
        self._config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard"})
        self._endpoint = endpoint
        self._region = region
        self._domain = domain
        self._ec2 = self._client("ec2")
        self._elb = self._client("elbv2")
        self._account = self._client("sts").get_caller_identity()["Account"]

    def make(self):
        """Everything, in the order in which one needs the other; returns the configuration."""
        vpc = self._vpc()
        subnets = self._subnets(vpc)
        public = self._security_group(vpc, "berth-load-balancer", "From anywhere to the load balancer")
        tenants = self._security_group(vpc, "berth-tenants", "From the load balancer to tenants, and nothing among themselves")
        self._open_to_the_world(public)
        self._open_to_load_balancer(tenants, public)
        listener = self._load_balancer(subnets, public)
        self._client("ecs").create_cluster(clusterName=NAME, tags=[{"key": TAG["Key"], "value": TAG["Value"]}])
        return {
            "aws": {"region": self._region},
            "platform": {
                "domain": self._domain,
                "cluster": NAME,
                "bucket": self._bucket(),
                "vpc": vpc,
                "subnets": ",".join(subnets),
                "security_group": tenants,
                "listeners": listener,
                "permissions_boundary": self._boundary(),
                "assign_public_ip": "true",
            },
        }

    def _client(self, service):
        # IAM is global and signed for us-east-1; botocore forgets that when it is given an endpoint.
        region = "us-east-1" if service == "iam" else self._region
        return self._session.client(service, region_name=region, endpoint_url=self._endpoint, config=self._config)

    # Network

    def _vpc(self):
        filters = [{"Name": f"tag:{TAG['Key']}", "Values": [TAG["Value"]]}]
        found = self._ec2.describe_vpcs(Filters=filters)["Vpcs"]
        if found:
            return found[0]["VpcId"]
        vpc = self._ec2.create_vpc(CidrBlock="10.42.0.0/16", TagSpecifications=_tags("vpc"))["Vpc"]["VpcId"]
        self._ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        return vpc

    def _subnets(self, vpc):
        """Two public subnets in two zones: an application load balancer takes no fewer."""
        found = self._ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        if found:
            return sorted(subnet["SubnetId"] for subnet in found)
        gateway = self._ec2.create_internet_gateway(TagSpecifications=_tags("internet-gateway"))
        gateway = gateway["InternetGateway"]["InternetGatewayId"]
        self._ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        table = self._ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]
        self._ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        zones = self._ec2.describe_availability_zones()["AvailabilityZones"][:2]
        made = [
            self._ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.42.{number}.0/24", AvailabilityZone=zone["ZoneName"], TagSpecifications=_tags("subnet")
            )["Subnet"]["SubnetId"]
            for number, zone in enumerate(zones)
        ]
        return sorted(made)

    def _security_group(self, vpc, name, description):
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [name]}]
        found = self._ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        if found:
            return found[0]["GroupId"]
        made = self._ec2.create_security_group(
            GroupName=name, Description=description, VpcId=vpc, TagSpecifications=_tags("security-group")
        )
        return made["GroupId"]

    def _open_to_the_world(self, group):
        everyone = [{"CidrIp": "0.0.0.0/0"}]
        self._allow(group, [
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": everyone} for port in (80, 443)
        ])

    def _open_to_load_balancer(self, group, load_balancer_group):
        self._allow(group, [{
            "IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "UserIdGroupPairs": [{"GroupId": load_balancer_group}],
        }])

    def _allow(self, group, permissions):
        try:
            self._ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidPermission.Duplicate":
                raise

    # Load balancer

    def _load_balancer(self, subnets, group):
        """An internet-facing load balancer; returns the ARN of its HTTPS listener, which answers 404 to hosts without an app."""
        made = self._elb.create_load_balancer(
            Name=NAME, Subnets=subnets, SecurityGroups=[group], Scheme="internet-facing", Type="application", Tags=[TAG]
        ) if not self._existing_load_balancer() else None
        arn = made["LoadBalancers"][0]["LoadBalancerArn"] if made else self._existing_load_balancer()
        listeners = {l["Port"]: l["ListenerArn"] for l in self._pages("describe_listeners", "Listeners", LoadBalancerArn=arn)}
        if 80 not in listeners:
            redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
            self._elb.create_listener(
                LoadBalancerArn=arn, Protocol="HTTP", Port=80, Tags=[TAG],
                DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}],
            )
        return listeners.get(443) or self._https_listener(arn)

    def _existing_load_balancer(self):
        try:
            return self._elb.describe_load_balancers(Names=[NAME])["LoadBalancers"][0]["LoadBalancerArn"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "LoadBalancerNotFound":
                raise
            return None

    def _https_listener(self, load_balancer):
        nothing_here = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "No app answers to this host name.\n"}
        made = self._elb.create_listener(
            LoadBalancerArn=load_balancer, Protocol="HTTPS", Port=443, SslPolicy=TLS_POLICY, Tags=[TAG],
            Certificates=[{"CertificateArn": self._certificate()}],
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": nothing_here}],
        )
        return made["Listeners"][0]["ListenerArn"]

    def _certificate(self):
        """A certificate for *.domain: imported, since nobody can prove that they own a .test domain."""
        acm = self._client("acm")
        wildcard = f"*.{self._domain}"
        for known in acm.list_certificates()["CertificateSummaryList"]:
            if known["DomainName"] == wildcard:
                return known["CertificateArn"]
        certificate, key = self_signed(wildcard)
        made = acm.import_certificate(Certificate=certificate, PrivateKey=key, Tags=[TAG])
        return made["CertificateArn"]

    def _pages(self, operation, member, **parameters):
        return [item for answer in self._elb.get_paginator(operation).paginate(**parameters) for item in answer[member]]

    # Sources and permissions

    def _bucket(self):
        """A private, versioned bucket: a build names the exact version of its source."""
        s3 = self._client("s3")
        bucket = f"berth-source-{self._account}"
        try:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self._region})
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                raise
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={
            "BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True,
        })
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [{
            "ID": "abort-incomplete-uploads", "Status": "Enabled", "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }]})
        return bucket

    def _boundary(self):
        """The managed policy that no role berth makes can go beyond."""
        iam = self._client("iam")
        arn = f"arn:aws:iam::{self._account}:policy/berth-boundary"
        document = boundary(self._region, self._account, f"berth-source-{self._account}")
        try:
            iam.create_policy(
                PolicyName="berth-boundary", PolicyDocument=json.dumps(document), Tags=[TAG],
                Description="The most that a role of a tenant of berth may ever do",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityAlreadyExists":
                raise
        return arn


def boundary(region, account, bucket):
    """Allow what a tenant's build, execution and task roles could need here, and deny every way up or out."""
    here = f"{region}:{account}"

    def allow(sid, actions, resources):
        return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}

    return {
        "Version": "2012-10-17",
        "Statement": [
            allow("OwnSource", ["s3:GetObject", "s3:GetObjectVersion"], f"arn:aws:s3:::{bucket}/tenants/*"),
            allow("BucketOfSources", ["s3:GetBucketLocation", "s3:GetBucketAcl"], f"arn:aws:s3:::{bucket}"),
            allow("SignInToRegistry", ["ecr:GetAuthorizationToken"], "*"),
            allow("OwnImages", [
                "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload",
                "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage", "ecr:DescribeImages",
            ], f"arn:aws:ecr:{here}:repository/berth/*"),
            allow("OwnLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [
                f"arn:aws:logs:{here}:log-group:/berth/*", f"arn:aws:logs:{here}:log-group:/aws/codebuild/berth-*",
            ]),
            allow("OwnSecrets", ["secretsmanager:GetSecretValue"], f"arn:aws:secretsmanager:{here}:secret:berth/apps/*"),
            {"Sid": "NoWayUp", "Effect": "Deny", "Resource": "*", "Action": [
                "iam:*", "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity",
                "organizations:*", "account:*",
            ]},
            {"Sid": "NoWebhookSecrets", "Effect": "Deny", "Action": "secretsmanager:*",
             "Resource": f"arn:aws:secretsmanager:{here}:secret:berth/hooks/*"},
        ],
    }


def self_signed(name):
    """(certificate, private key) in PEM, good for a year."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def _tags(kind):
    return [{"ResourceType": kind, "Tags": [TAG, {"Key": "Name", "Value": NAME}]}]


def ini(configuration):
    sections = []
    for section, values in configuration.items():
        sections.append("\n".join([f"[{section}]"] + [f"{key} = {value}" for key, value in values.items()]))
    return "\n".join(sections) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--region", default="eu-central-1")
    parser.add_argument("--domain", required=True)
    parser.add_argument("--out", help="write the configuration here; otherwise to standard output")
    arguments = parser.parse_args()

    text = ini(Platform(arguments.endpoint, arguments.region, arguments.domain).make())
    if arguments.out:
        with open(arguments.out, "w", encoding="ascii") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
