package guest

import (
	"context"
	"fmt"
	"net"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// etcdServer is the client interface of one etcd member, as far as kubeadm and
// Cluster API's control-plane provider use it.
type etcdServer struct {
	pb.UnimplementedClusterServer
	pb.UnimplementedMaintenanceServer
	cluster *cluster
	id      uint64
}

func (s *etcdServer) register(r *grpc.Server) {
	pb.RegisterClusterServer(r, s)
	pb.RegisterMaintenanceServer(r, s)
}

// ready returns why a member cannot answer, as etcd would.
func (s *etcdServer) ready() error {
	if err := s.cluster.available(s.id); err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	return nil
}

func (s *etcdServer) header() *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: s.cluster.key.etcd, MemberId: s.id, Revision: int64(s.cluster.store.Revision())}
}

// Status tells how the member is. It answers without a majority, too, and then
// knows no leader.
func (s *etcdServer) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	s.cluster.mu.Lock()
	leader, learner := s.cluster.leader, false
	if !s.cluster.majority() {
		leader = 0
	}
	i := s.cluster.index(s.id)
	if i >= 0 {
		learner = !s.cluster.members[i].Started
	}
	s.cluster.mu.Unlock()
	if i < 0 {
		return nil, status.Error(codes.Unavailable, errRemoved.Error())
	}
	r := &pb.StatusResponse{Header: s.header(), Version: "3.6.8", Leader: leader, IsLearner: learner}
	if leader == 0 {
		r.Errors = []string{errNoMajority.Error()}
	}
	return r, nil
}

// MemberList lists the members.
func (s *etcdServer) MemberList(_ context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	if err := s.ready(); err != nil && r.GetLinearizable() {
		return nil, err
	}
	return &pb.MemberListResponse{Header: s.header(), Members: s.members()}, nil
}

func (s *etcdServer) members() []*pb.Member {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	var list []*pb.Member
	for _, m := range s.cluster.members {
		p := &pb.Member{ID: m.ID, PeerURLs: []string{"https://" + net.JoinHostPort(m.Address, "2380")}, IsLearner: !m.Started}
		if m.Started {
			p.Name, p.ClientURLs = m.Name, []string{"https://" + net.JoinHostPort(m.Address, "2379")}
		}
		list = append(list, p)
	}
	return list
}

// MemberAdd adds a member by its peer URL.
func (s *etcdServer) MemberAdd(_ context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	if len(r.PeerURLs) != 1 {
		return nil, status.Error(codes.InvalidArgument, "etcdserver: given member URLs are invalid")
	}
	var host string
	if _, err := fmt.Sscanf(r.PeerURLs[0], "https://%s", &host); err != nil {
		return nil, status.Error(codes.InvalidArgument, "etcdserver: given member URLs are invalid")
	}
	address, _, err := net.SplitHostPort(host)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "etcdserver: given member URLs are invalid")
	}
	m, err := s.cluster.addMember(address)
	if err != nil {
		return nil, err
	}
	return &pb.MemberAddResponse{Header: s.header(), Member: &pb.Member{ID: m.ID, PeerURLs: r.PeerURLs, IsLearner: true}, Members: s.members()}, nil
}

// MemberRemove removes a member.
func (s *etcdServer) MemberRemove(_ context.Context, r *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	if err := s.cluster.removeMember(r.ID); err != nil {
		return nil, err
	}
	return &pb.MemberRemoveResponse{Header: s.header(), Members: s.members()}, nil
}

// MoveLeader hands over the leadership. Only the leader takes it.
func (s *etcdServer) MoveLeader(_ context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	if err := s.cluster.moveLeader(s.id, r.TargetID); err != nil {
		return nil, err
	}
	return &pb.MoveLeaderResponse{Header: s.header()}, nil
}

// Alarm lists the alarms. There are none: disks do not fill.
func (s *etcdServer) Alarm(context.Context, *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	return &pb.AlarmResponse{Header: s.header()}, nil
}
